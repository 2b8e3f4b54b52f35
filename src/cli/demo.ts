import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Command, Option } from 'commander'
import { environment } from '../config.ts'
import type { KubeClient } from '../kube/client.ts'
import { systemRuntime as runtime } from '../runtime.ts'
import type { CommandFactory } from './command.ts'
import { hasDisplay, openBrowser } from './demo/browser.ts'
import { NAMESPACE, type Story } from './demo/story.ts'
import type { Witness } from './demo/witness.ts'
import { untilStopped } from './signals.ts'

interface DemoOptions {
  story: string
  json?: boolean
  keep?: boolean
  open?: boolean
  picture?: string
  logLevel: string
}

export const demoCommand: CommandFactory = (exit) =>
  new Command('demo')
    .description(
      'the whole story in about a minute: a good release, one with errors, one that is slow, on a cluster in this process',
    )
    .addOption(
      new Option('--story <name>', 'versions side by side, or one Deployment whose image is changed in Git')
        .choices(['subsets', 'deployment'])
        .default('subsets'),
    )
    .option('--json', 'print one report for machines, and nothing else')
    .option('--keep', 'leave everything running at the end, with a kubeconfig to look around')
    .option('--open', 'show the page in a browser; the default on a terminal with a display')
    .option('--no-open', 'only print where the page is')
    .option('--picture <file.svg>', 'draw the weights over time')
    .option('--log-level <level>', 'what the controller logs to standard error', 'silent')
    .action(async (options: DemoOptions) => {
      exit(await demo(options))
    })

/** Plays the story. 0 only when every act ended as it should. */
async function demo(options: DemoOptions): Promise<number> {
  // Loaded here: the other commands start faster without a cluster in their pocket.
  const { createLogger } = await import('../controller/log.ts')
  const { connect } = await import('../kube/client.ts')
  const { loadKubeconfig } = await import('../kube/kubeconfig.ts')
  const { approveHere, clickApprove } = await import('./demo/approver.ts')
  const { drawPicture } = await import('./demo/picture.ts')
  const { readCommits, renderReport } = await import('./demo/report.ts')
  const { buildStage, REQUESTS_PER_SECOND } = await import('./demo/stage.ts')
  const { play } = await import('./demo/act.ts')
  const story = await storyOf(options.story)
  const { createView } = await import('./demo/view.ts')
  const { createWitness } = await import('./demo/witness.ts')

  const startedAt = runtime.now()
  const quiet = options.json === true
  const interactive = !quiet && process.stdin.isTTY && process.stdout.isTTY
  const screen = {
    write: (text: string) => void (quiet || process.stdout.write(text)),
    isTerminal: !quiet && process.stdout.isTTY,
    // A terminal without a size says 0.
    columns: process.stdout.columns || 80,
  }
  const view = createView(screen, startedAt, () => runtime.now())
  const log = createLogger(options.logLevel)
  const dir = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
  const stopped = untilStopped()
  const ending = new AbortController()
  let ended: number | undefined
  let client: KubeClient | undefined
  const building = buildStage({ story, dir, runtime, log, onStep: (what) => view.say(what) })
  let witness: Witness | undefined
  try {
    return await Promise.race([tell(), stopped.then(() => ended ?? 130)])
  } finally {
    ending.abort()
    view.stop()
    witness?.stop()
    client?.close()
    await building.then((stage) => stage.stop()).catch(() => undefined)
    // A git that was cut off may still be writing.
    await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }

  async function tell(): Promise<number> {
    const stage = await building
    const { pageUrl } = stage.controller
    if (pageUrl !== undefined) {
      view.say(`watch it at ${pageUrl}/rollouts/${NAMESPACE}/${story.app}`)
      const wanted = options.open ?? (interactive && hasDisplay(environment(), process.platform))
      if (wanted) openBrowser(`${pageUrl}/rollouts/${NAMESPACE}/${story.app}`, process.platform)
    }
    witness = createWitness(stage.sandbox.api.storage, runtime)
    const connection = await loadKubeconfig({ path: stage.sandbox.kubeconfig, env: {}, runtime })
    const admin = connect({ connection, runtime })
    client = admin
    if (!(await witness.until((status) => status.phase === 'Healthy', 20_000)))
      throw new Error(`the app did not become healthy: ${witness.status().message ?? 'no status yet'}`)
    view.say(story.serving)
    view.follow(story, witness, stage.load)
    const reports = []
    for (const [i, act] of story.acts.entries()) {
      ending.signal.throwIfAborted()
      view.act(act, i + 1, story.acts.length)
      const teller = {
        question: async (approval: Parameters<typeof approveHere>[0]) => {
          if (interactive && (await ask(view, ending.signal))) {
            await approveHere(approval, { client: admin, runtime, log })
            return
          }
          await runtime.sleep(1_000, ending.signal)
          const status = await clickApprove(approval, stage.controller.url, stage.slackSecret, runtime.now())
          view.say(`dana clicks Approve in Slack (signed request, answered ${status})`)
        },
      }
      const report = await play({ stage, witness, story, runtime }, act, teller)
      ending.signal.throwIfAborted()
      reports.push(report)
      view.say(`${report.ok ? '✓' : '✗'} ${report.result}: ${report.message}`)
    }
    view.stop()
    const timeline = witness.weights().map(({ at, weights }) => ({ atMs: at - startedAt, weights }))
    witness.stop()
    const report = {
      ok: reports.every((act) => act.ok),
      durationMs: runtime.now() - startedAt,
      requestsPerSecond: REQUESTS_PER_SECOND,
      acts: reports,
      timeline,
      commits: await readCommits(stage),
    }
    process.stdout.write(quiet ? `${JSON.stringify(report, null, 2)}\n` : `${renderReport(report)}\n`)
    if (options.picture) await writeFile(options.picture, drawPicture(report))
    if (options.keep) {
      const { kubeconfig, prometheus, mesh, git } = stage.sandbox
      const places = {
        kubeconfig,
        controller: stage.controller.url,
        ...(stage.controller.pageUrl === undefined ? {} : { page: stage.controller.pageUrl }),
        prometheus: prometheus.url,
        mesh: mesh.url,
        git: git.url,
      }
      process.stderr.write(
        `still running; look around with\n  export KUBECONFIG=${kubeconfig}\n${JSON.stringify(places)}\nCtrl-C ends it\n`,
      )
      ended = report.ok ? 0 : 1
      await stopped
    }
    return report.ok ? 0 : 1
  }
}

async function storyOf(name: string): Promise<Story> {
  if (name === 'deployment') return (await import('./demo/deployment/story.ts')).deploymentStory
  return (await import('./demo/subsets/story.ts')).subsetsStory
}

/** Asks at the terminal; true for yes, false when nobody answers for a while (then Slack does). */
async function ask(view: { pause(paused: boolean): void }, ending: AbortSignal): Promise<boolean> {
  view.pause(true)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  // The terminal is the question's while it is open, Ctrl-C included.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const answer = await terminal.question('\n  Sluice asks: may traffic move from 10 % to 50 %? [Y/n, 20 s] ', {
      signal: AbortSignal.any([ending, AbortSignal.timeout(20_000)]),
    })
    return !/^n/i.test(answer.trim())
  } catch {
    return false
  } finally {
    terminal.close()
    view.pause(false)
  }
}
