import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { createAnalyst } from '../analysis/analyst.ts'
import { createApprovals } from '../approval/approvals.ts'
import type { ControllerConfig } from '../config.ts'
import { connect } from '../kube/client.ts'
import type { KubeConnection } from '../kube/connection.ts'
import { createEventRecorder } from '../kube/events.ts'
import { createElector } from '../kube/lease.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { createWorkQueue } from '../kube/workqueue.ts'
import { createPacer } from '../pacer.ts'
import type { Runtime } from '../runtime.ts'
import { createHealth } from '../server/health.ts'
import { createMetrics } from '../server/metrics.ts'
import { createPage, type Page } from '../server/page/server.ts'
import { createServer } from '../server/server.ts'
import { createIstioRouter } from '../traffic/istio/router.ts'
import { createWorkload } from '../workload/create.ts'
import { createDeploymentHands } from '../workload/deployment/hands.ts'
import { createLatch } from '../workload/deployment/latch.ts'
import { approvalHooks } from './approval-hooks.ts'
import { createCaches, type Kind } from './caches.ts'
import { createChronicle } from './chronicle.ts'
import { clusterNameOf } from './cluster-name.ts'
import { createConfigs } from './configs.ts'
import type { Context } from './context.ts'
import { createErrands } from './errands.ts'
import { createAnalysisFeed } from './feed.ts'
import { gitHooks } from './git-hooks.ts'
import { createGitLog } from './git-log.ts'
import { createHandwork } from './handwork.ts'
import { giveBackMemory } from './memory.ts'
import { createPageSource } from './page-source.ts'
import { createChannels } from './people.ts'
import { prometheusFinder } from './prometheus.ts'
import { createQuestions } from './questions.ts'
import { reconcile } from './reconcile.ts'
import { createRecorder } from './record.ts'
import { findRival } from './rivals.ts'
import { createNamedSecrets } from './secrets.ts'
import { createSources } from './sources.ts'
import { createTriggers } from './triggers.ts'

/** What events that are still to be written get at the end. */
const EVENTS_GRACE_MS = 1_000

/** Many canaries may break at one moment: their retreats must not wait for each other (I2). */
const RETREATS_AT_ONCE = 64

/** A running controller. */
export interface Controller {
  /** Base URL of health, metrics and the Slack endpoint. */
  url: string
  /** Base URL of the web page, where there is one. */
  pageUrl?: string
  /** Resolves when all caches have been read. */
  synced: Promise<void>
  /** Finishes what is being done, hands the lease over, and ends. */
  stop(): Promise<void>
}

export interface ControllerParts {
  connection: KubeConnection
  runtime: Runtime
  log: Logger
  /** Told when leadership is lost for good: the process should end and start anew. */
  onLost?: (reason: string) => void
}

/** Starts the controller: watches, queue, evidence, Git, approvals, server. The same in a cluster and in the sandbox. */
export async function startController(config: ControllerConfig, parts: ControllerParts): Promise<Controller> {
  const { connection, runtime, log } = parts
  const metrics = createMetrics({ process: true })
  const client = connect({
    connection,
    runtime,
    userAgent: 'sluice',
    onRequest: (info) => metrics.kubeRequest(info.verb, info.status ?? 0),
  })
  const queue = createWorkQueue({
    runtime,
    hooks: {
      depth: (n) => metrics.queueDepth(n),
      waited: (ms) => metrics.queueLatency(ms),
      worked: (ms) => metrics.reconciled(ms),
    },
  })
  const secrets = createNamedSecrets(client, runtime)
  const stopped = new AbortController()
  const triggers = createTriggers((namespace) => caches.of('rollouts').byIndex('namespace', namespace))
  const caches = createCaches({ client, runtime, log, namespaces: config.namespaces, onChange })
  const approvals = createApprovals({ client, runtime, log })
  const rolloutOf = (key: string) => caches.of('rollouts').get(key)
  const events = createEventRecorder({ client, runtime, log, instance: config.identity })
  const channels = createChannels(config, {
    approvals,
    client,
    rollout: rolloutOf,
    source: (key) => caches.of('rolloutSources').get(key),
    secrets,
    events,
    cluster: () => cluster || undefined,
    runtime,
    log,
    metrics,
  })
  const questions = createQuestions({
    channel: {
      show: (approval) => {
        channels.questions.show(approval)
        sources.show(approval)
      },
    },
    approvals,
    rollout: rolloutOf,
    approvalsIn: (namespace) => caches.of('approvals').byIndex('namespace', namespace),
    now: () => runtime.now(),
    log,
  })
  const router = createIstioRouter({ client, reader: caches })
  const recorder = createRecorder({ client, runtime, log, checkpointMs: config.checkpointMs })
  const chronicle = createChronicle(() => page?.changed())
  const pacer = createPacer()
  const analyst = createAnalyst({
    prometheusFor: prometheusFinder({ client, metrics, ...(config.prometheus ? { url: config.prometheus } : {}) }),
    runtime,
    log,
    pacer,
  })
  const feed = createAnalysisFeed({
    analyst,
    runtime,
    onLook: (key, breached) => {
      if (breached && !breaches.has(key)) breaches.set(key, runtime.monotonic())
      queue.add(key, { urgent: breached })
    },
    onError: (key, error) => log.error({ rollout: key, err: error }, 'analysis stopped'),
  })
  const breaches = new Map<string, number>()
  const sources = createSources({
    client,
    caches,
    approvals,
    runtime,
    log,
    metrics,
    workDir: config.workDir,
    gitEnv: config.gitEnv,
    takeOver: config.takeOver,
    mayWrite: () => context.isLeader(),
    onChange: (rollout) => queue.add(rollout),
  })
  const configs = createConfigs({ client, runtime, log, onChange: (rollout) => queue.add(rollout) })
  const latch = createLatch({ client, runtime, log, onAnswer: (key) => queue.add(key) })
  const handwork = createHandwork({
    hands: createDeploymentHands({ client, reader: caches, latch, isLeader: () => context.isLeader() }),
    runtime,
    log,
    wake: (key, ms) => queue.addAfter(key, ms),
    onFailure: (kind) => metrics.reconcileError(kind),
  })
  const errands = createErrands({ runtime, log, wake: (key, ms) => queue.addAfter(key, ms) })
  const context: Context = {
    client,
    reader: caches,
    router,
    workload: createWorkload(caches, latch, configs),
    handwork,
    feed,
    git: sources,
    approvals,
    errands,
    events,
    people: channels.notices,
    recorder,
    chronicle,
    metrics,
    runtime,
    log,
    breaches,
    interest: (key, deployments) => triggers.interest(key, deployments),
    configs,
    rivalOf: (rollout, spec) =>
      findRival(router, caches.of('rollouts').byIndex('namespace', rollout.metadata.namespace ?? ''), rollout, spec),
    isLeader: () => elector?.isLeaderNow() ?? true,
    isStopping: () => stopped.signal.aborted,
    turn: () => pacer.turn(),
  }

  function onChange(kind: Kind, key: string, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    if (kind === 'rolloutSources') sources.changed(key, object)
    if (kind === 'rollouts' || kind === 'approvals') page?.changed()
    if (working && context.isLeader()) tellPeople(kind, object, previous)
    for (const rollout of triggers.concerned(kind, key, object, previous)) queue.add(rollout)
    if (kind === 'deployments' && !object) latch.forget(previous?.metadata.uid ?? '')
    if (kind === 'rollouts' && !object) {
      triggers.forget(key)
      queue.add(key)
    }
  }

  function tellPeople(kind: Kind, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    if (kind === 'approvals' && object) questions.changed(object)
    else if (kind === 'approvals' && previous) questions.gone(previous)
    else if (kind === 'rollouts' && object) questions.rolloutChanged(object, previous)
  }

  let lastTick = runtime.monotonic()
  async function tick(): Promise<void> {
    while (!stopped.signal.aborted) {
      lastTick = runtime.monotonic()
      await runtime.sleep(1_000, stopped.signal)
    }
  }

  let working: Promise<void> | undefined
  function lead(cluster: string): void {
    metrics.leader(true)
    recorder.reset()
    sources.start(cluster)
    for (const rollout of caches.of('rollouts').list()) queue.add(keyOf(rollout))
    // What changed while nobody led, or another did, has not been shown by this process.
    for (const approval of caches.of('approvals').list()) questions.changed(approval)
    if (working) return
    working = Promise.resolve()
    queue.run({
      workers: config.workers,
      urgentWorkers: RETREATS_AT_ONCE,
      handler: async (key, urgent) => {
        if (!urgent) await pacer.turn()
        if (!context.isLeader()) return undefined
        return reconcile(context, key)
      },
      onError: (key, error, retryMs) => {
        metrics.reconcileError('transient')
        log.warn({ rollout: key, err: error, retryMs }, 'reconcile failed')
      },
    })
  }

  const elector = config.leaderElection
    ? createElector({
        client,
        runtime,
        log,
        lease: { namespace: config.leaseNamespace, name: 'sluice' },
        identity: `${config.identity}_${randomUUID()}`,
        // The proportions of client-go: 15 s, 10 s, 2 s.
        leaseDurationMs: config.leaseMs,
        renewDeadlineMs: (config.leaseMs * 2) / 3,
        retryPeriodMs: (config.leaseMs * 2) / 15,
        onElected: () => lead(cluster),
        onLost: (reason) => {
          metrics.leader(false)
          parts.onLost?.(reason)
        },
      })
    : undefined

  const server = await createServer({
    listen: config.listen,
    runtime,
    log,
    metrics,
    health: createHealth({
      runtime,
      lastActivity: () => lastTick,
      unsynced: () => caches.unsynced(),
      leadership: () => (context.isLeader() ? 'leader' : 'standby'),
    }),
    ...(channels.slack ? { slack: channels.slack } : {}),
    webhooks: [
      approvalHooks({
        approval: (key) => caches.of('approvals').get(key),
        approvals,
        secrets,
        onResult: (result) => metrics.approvalDecision('webhook', result),
        runtime,
        log,
      }),
      gitHooks({
        client,
        source: (key) => caches.of('rolloutSources').get(key),
        secrets,
        isLeader: () => context.isLeader(),
        poke: (key, hook) => sources.poke(key, hook),
        metrics,
        runtime,
        log,
      }),
    ],
  })
  const page = config.page === undefined ? undefined : await openPage(config.page)

  /** The page is for people who look; that it cannot be shown ends nothing. */
  async function openPage(listen: string): Promise<Page | undefined> {
    const gitLog = createGitLog({
      read: (rollout) => sources.history(rollout),
      runtime,
      onRead: () => page?.changed(),
      onError: (error) => log.debug({ err: error }, 'the Git log was not read'),
    })
    const isLeader = () => working !== undefined && context.isLeader()
    const source = createPageSource({
      caches,
      recorder,
      chronicle,
      log: gitLog,
      undelivered: () => channels.notices.deadLetters.list(),
      isLeader,
    })
    try {
      return await createPage({ listen, hosts: config.pageHosts, source, runtime, log })
    } catch (error) {
      log.warn({ err: error, listen }, 'the web page is not shown')
      return undefined
    }
  }

  /** Asks until the API server answers: a blip at the start must not leave a controller that never acts. */
  async function nameCluster(): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await clusterNameOf(client, config.clusterName)
      } catch (error) {
        const retryMs = Math.min(10_000, 250 * 2 ** attempt)
        log.warn({ err: error, retryMs }, 'the name of the cluster is not known yet')
        await runtime.sleep(retryMs, stopped.signal)
      }
    }
  }

  tick().catch(() => undefined)
  caches.start()
  let cluster = ''
  const synced = caches.synced(stopped.signal).then(async () => {
    cluster = await nameCluster()
    giveBackMemory()
    log.info({ rollouts: caches.of('rollouts').list().length, listen: server.url, page: page?.url, cluster }, 'synced')
    if (elector) elector.start()
    else lead(cluster)
  })
  synced.catch(() => undefined)

  async function finish(): Promise<void> {
    feed.stop()
    await queue.shutDown()
    await handwork.stop()
    await sources.stop()
  }

  return {
    url: server.url,
    ...(page ? { pageUrl: page.url } : {}),
    synced,
    async stop() {
      stopped.abort()
      await (elector ? elector.stop(finish) : finish())
      // Events are a courtesy: they get a moment, not the patience of their retries.
      const told = Promise.race([events.flush(), runtime.sleep(EVENTS_GRACE_MS)]).then(() => events.stop())
      const asked = Promise.race([errands.idle(), runtime.sleep(EVENTS_GRACE_MS)])
      await Promise.all([asked, caches.stop(), configs.stop(), channels.stop(), told, server.stop(), page?.stop()])
      client.close()
    },
  }
}
