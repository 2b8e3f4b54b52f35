import { SluiceError } from '../../errors.ts'
import { createReflector } from '../../kube/reflector.ts'
import { resources } from '../../kube/resources.ts'
import type { Cluster, RolloutName } from '../cluster.ts'
import { explain } from '../explain.ts'
import { findRollout, inOrder, listRollouts, type Rollout, readRollout } from '../rollouts.ts'
import type { Terminal } from '../terminal.ts'
import type { WatchFlags } from '../watch.ts'
import { type Ending, endingOf } from './ending.ts'
import { jsonView, lineView, screenView, type View } from './view.ts'

export interface Watching {
  cluster: Cluster
  terminal: Terminal
  named: RolloutName | undefined
  flags: WatchFlags
  timeoutMs: number | undefined
}

/** Why a watch ended; `Promoted` also where nobody waits for a revision. */
export type Ended = Ending['kind'] | 'TimedOut'

/**
 * Follows one Rollout, or many, until the revision waited for has ended, the time is up, or the person stops it.
 * A connection that breaks is made again, and said so.
 * @throws {SluiceError} when the Rollout is not there or is deleted; {KubeError} when the cluster cannot be watched
 */
export async function watch({ cluster, terminal, named, flags, timeoutMs }: Watching): Promise<Ended> {
  const { runtime } = terminal
  // Read once by itself: what is wrong with name, rights or connection is said now, and not retried for ever.
  const first = named ? await findRollout(cluster, named) : undefined
  const namespace = named ? first?.namespace : flags.allNamespaces ? undefined : cluster.namespace
  if (!first) await listRollouts(cluster, namespace)
  const wanted = flags.revision ?? (flags.exitCode ? triedNow(first) : undefined)
  const view = viewOf(terminal, first !== undefined, flags)

  const ended = Promise.withResolvers<Ended>()
  const over = new AbortController()
  const rollouts = new Map<string, Rollout>()
  const draw = () => view.draw(inOrder([...rollouts.values()]))
  let brokenAt: number | undefined

  function changed(rollout: Rollout): void {
    view.changed(rollout)
    const ending = wanted === undefined ? undefined : endingOf(rollout, wanted)
    if (!ending) return
    draw()
    view.note(ending.message)
    ended.resolve(ending.kind)
  }

  const reflector = createReflector({
    client: cluster.client,
    resource: resources.rollouts,
    ...(namespace === undefined ? {} : { namespaces: [namespace] }),
    ...(first ? { fieldSelector: `metadata.name=${first.name}` } : {}),
    runtime,
    log: {
      info: () => {},
      warn(fields) {
        if (brokenAt === undefined) view.note(`the watch broke and is taken up again: ${reasonOf(fields)}`)
        brokenAt ??= runtime.monotonic()
      },
      error: (fields) => ended.reject(new Error(`the watch failed: ${reasonOf(fields)}`)),
    },
    onChange(key, object) {
      brokenAt = undefined
      if (object) {
        const rollout = readRollout(object)
        rollouts.set(key, rollout)
        changed(rollout)
      } else {
        rollouts.delete(key)
        view.gone(key)
        if (first) ended.reject(deleted(key))
      }
      // The first list comes object by object: drawn once, when it is whole.
      if (reflector.hasSynced()) draw()
    },
  })

  /** Ages and holds move on although nothing changes in the cluster. */
  function tick(): void {
    if (!reflector.hasSynced()) return
    if (brokenAt !== undefined && (reflector.lastActivity() ?? 0) > brokenAt) {
      brokenAt = undefined
      view.note('')
    }
    draw()
  }

  const ignore = () => {}
  if (timeoutMs !== undefined) {
    runtime.sleep(timeoutMs, over.signal).then(() => {
      if (wanted !== undefined) view.note(`${wanted} has not come to its end in time`)
      ended.resolve('TimedOut')
    }, ignore)
  }
  void terminal.untilStopped().then(() => {
    if (wanted === undefined) ended.resolve('Promoted')
    else ended.reject(new Error(`stopped before ${wanted} came to its end`))
  })
  reflector.start()
  reflector.synced.then(draw, ignore)
  const ticks = terminal.interactive && !flags.output ? everySecond(terminal, over.signal, tick) : undefined
  try {
    return await ended.promise
  } finally {
    over.abort()
    await Promise.all([reflector.stop(), ticks])
  }
}

function viewOf(terminal: Terminal, single: boolean, flags: WatchFlags): View {
  if (flags.output === 'json') return jsonView(terminal)
  return terminal.interactive ? screenView({ terminal, single, flags }) : lineView(terminal)
}

async function everySecond({ runtime }: Terminal, signal: AbortSignal, act: () => void): Promise<void> {
  while (!signal.aborted) {
    await runtime.sleep(1_000, signal).catch(() => {})
    if (!signal.aborted) act()
  }
}

function triedNow(first: Rollout | undefined): string {
  const revision = first?.status.canary?.revision
  if (revision !== undefined) return revision
  const place = `${first?.namespace}/${first?.name}`
  throw new SluiceError({
    reason: 'RequestFailed',
    message: `${place}: nothing is being rolled out, so name what to wait for with --revision`,
  })
}

function deleted(key: string): SluiceError {
  return new SluiceError({ reason: 'RolloutMissing', message: `${key} was deleted while it was watched` })
}

function reasonOf(fields: object): string {
  return 'err' in fields ? explain(fields.err).replace(/^Kubernetes API, /, '') : 'the reason is not known'
}
