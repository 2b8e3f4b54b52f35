import { Command } from 'commander'
import { type ControllerFlags, controllerConfig, kubeEnv } from '../config.ts'
import { keepHeapSmall } from '../controller/memory.ts'
import { systemRuntime } from '../runtime.ts'
import type { CommandFactory } from './command.ts'
import { untilStopped } from './signals.ts'

/** How long a process that has lost the lease may take to end. */
const LOST_GRACE_MS = 5_000

export const controllerCommand: CommandFactory = (exit) =>
  new Command('controller')
    .description('run the controller; every option is also a SLUICE_* variable')
    .option('--kubeconfig <file>', 'the cluster; otherwise KUBECONFIG, the cluster this runs in, or ~/.kube/config')
    .option('--prometheus <url>', 'Prometheus for Rollouts that name none')
    .option('--namespace <name>', 'only this namespace; may be repeated', (name: string, all: string[] = []) => [
      ...all,
      name,
    ])
    .option('--listen <host:port>', 'health, metrics and Slack')
    .option('--page <host:port>', 'the web page, for people who look; 127.0.0.1:8081, or off')
    .option('--cluster-name <name>', 'names this cluster in state files; by default the UID of kube-system')
    .option('--take-over', 'take over state files that another cluster wrote, after a rebuild')
    .option('--log-level <level>', 'trace, debug, info, warn, error')
    .option('--work-dir <folder>', 'where clones of repositories are kept')
    .option('--leader-elect', 'hold a Lease while acting; the default inside a cluster')
    .action(async (flags: ControllerFlags) => {
      keepHeapSmall()
      const [{ createLogger }, { startController }, { loadKubeconfig }] = await Promise.all([
        import('../controller/log.ts'),
        import('../controller/manager.ts'),
        import('../kube/kubeconfig.ts'),
      ])
      const config = controllerConfig(flags)
      const log = createLogger(config.logLevel)
      const connection = await loadKubeconfig({
        env: kubeEnv(),
        runtime: systemRuntime,
        ...(config.kubeconfig ? { path: config.kubeconfig } : {}),
      })
      let lost = false
      const ended = Promise.withResolvers<void>()
      const controller = await startController(config, {
        connection,
        runtime: systemRuntime,
        log,
        onLost: (reason) => {
          log.error({ reason }, 'leadership lost')
          lost = true
          ended.resolve()
        },
      })
      await Promise.race([untilStopped(), ended.promise])
      // Who has lost the lease does nothing any more: what hangs is cut off, so that a new process stands by soon.
      if (lost) setTimeout(() => process.exit(1), LOST_GRACE_MS).unref()
      await controller.stop()
      if (lost) exit(1)
    })
