import { isDeepStrictEqual } from 'node:util'
import { parseDuration } from '../api/duration.ts'
import { type RolloutSourceSpec, type RolloutSourceStatus, rolloutSourceSpec } from '../api/rolloutsource.ts'
import { type ErrorCode, type Problem, SluiceError } from '../errors.ts'
import { delayOf } from '../kube/backoff.ts'
import type { KubeClient } from '../kube/client.ts'
import { textAt } from '../kube/field.ts'
import { asKubeError } from '../kube/kube-error.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { Runtime } from '../runtime.ts'
import type { RouteOwners } from './apply.ts'
import type { Branches } from './branch.ts'
import { credentialsOf, secretData } from './credentials.ts'
import { forgeOf } from './forge/find.ts'
import { pathMissing } from './operation.ts'
import { signingKeyOf } from './signature.ts'
import { createSourceRecord, plain } from './source-record.ts'
import { type SourceRef, sourceRef } from './source-ref.ts'
import { nextStatus, type SourceOutcome } from './source-status.ts'
import { type SyncResult, synchronise } from './sync.ts'
import { wordingProblem } from './wording.ts'

export interface SourceOptions {
  client: KubeClient
  branches: Branches
  runtime: Runtime
  /** Rollouts that the cluster knows, by the route they own. */
  owners: RouteOwners
  /** Asked before every write to the cluster. */
  mayWrite?: () => boolean
  /** The source is usable, or usable in another way than before. */
  onReady?: (source: SourceRef) => void
  /** The remote has been asked: at every interval, and when a webhook says that there is news. */
  onLook?: (source: SourceRef) => void
  onError?: (error: unknown) => void
}

/** A webhook that arrived, as status shows it. */
export type Hook = NonNullable<RolloutSourceStatus['lastWebhook']>

/** The loop of one RolloutSource: read the branch, make the cluster what it says, say what came of it. */
export interface SourceLoop {
  /** What the recorder needs; undefined until the Secret was read, or while the spec cannot work. */
  readonly ref: SourceRef | undefined
  /** Why `ref` is undefined, when it is known. */
  readonly problem: Problem | undefined
  /** The object has changed; a new generation is looked at immediately. */
  update(object: KubeObject): void
  /** Look now, as there may be news: at most one look in a second, and one more for all that was said meanwhile. */
  poke(hook?: Hook): void
  /** Our own push, for status. */
  pushed(commit: string, at: number): void
  stop(): Promise<void>
}

type SecretRead = { ok: true; secret?: KubeObject } | { ok: false; problem: Problem }
/** `obstacle`: it can be read, but not committed to. */
type SourceRead = { ok: true; source: SourceRef; obstacle?: Problem } | { ok: false; problem: Problem }

/** Every so many intervals an unchanged commit is applied again, against drift. */
const driftIntervals = 10
const retry = { initialMs: 1_000, maxMs: 60_000 }
/** What is wrong where a Secret that is named does not exist. */
const missingSecret: Record<string, ErrorCode> = {
  'spec.write.signingKeyRef': 'GitSigningKey',
  'spec.write.pullRequest.secretRef': 'ForgeAuth',
}
/** Between the beginnings of two looks that webhooks ask for, ms. */
const POKE_EVERY_MS = 1_000
/** A change of this annotation has the source looked at, whatever its value. */
const LOOK_ANNOTATION = 'sluice.dev/look'

export function runSource(options: SourceOptions, first: KubeObject): SourceLoop {
  const { client, branches, runtime, onReady, onLook, onError, mayWrite = () => true } = options
  const stopping = new AbortController()
  const record = createSourceRecord(client, first)
  let object = first
  let ref: SourceRef | undefined
  let problem: Problem | undefined
  let wake = new AbortController()
  let done: { tip: string; generation: number; looks: number; retry: boolean } | undefined
  let failures = 0
  let lastPush: { commit: string; at: string } | undefined
  let lastWebhook: Hook | undefined
  let poked = false
  let lookedAt = Number.NEGATIVE_INFINITY

  async function look(): Promise<{ waitMs: number }> {
    const current = object
    const generation = current.metadata.generation ?? 0
    const parsed = rolloutSourceSpec.safeParse(current.spec)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      const field = ['spec', ...(issue?.path ?? [])].join('.')
      ref = undefined
      problem = { reason: 'InvalidSpec', message: `${field} ${issue?.message ?? 'is wrong'}`, field }
      await report(generation, { kind: 'problem', problem, transient: false })
      return { waitMs: retry.maxMs }
    }
    const spec = parsed.data
    const intervalMs = parseDuration(spec.interval)
    if (spec.suspend) {
      ref = undefined
      problem = {
        reason: 'SourceMissing',
        message: `RolloutSource ${current.metadata.name} is suspended`,
        field: 'spec.suspend',
      }
      await report(generation, { kind: 'suspended' })
      return { waitMs: intervalMs }
    }
    const outcome = await outcomeOf(current, spec, generation)
    if (stopping.signal.aborted) return { waitMs: 0 }
    await report(generation, outcome)
    const again =
      outcome.kind === 'problem'
        ? outcome.transient
        : outcome.kind === 'synced' && (outcome.result?.retry ?? done?.retry ?? false)
    failures = again ? failures + 1 : 0
    return { waitMs: again ? Math.min(intervalMs, delayOf(retry, failures - 1, runtime.random)) : intervalMs }
  }

  async function outcomeOf(current: KubeObject, spec: RolloutSourceSpec, generation: number): Promise<SourceOutcome> {
    const read = await sourceOf(current, spec)
    if (!read.ok) {
      ref = undefined
      problem = read.problem
      return { kind: 'problem', problem, transient: true }
    }
    const { source } = read
    if (!isDeepStrictEqual(source, ref)) {
      ref = source
      problem = undefined
      onReady?.(source)
    }
    const branch = branches.of(source)
    const fetched = await branch.refresh(source.credentials)
    if (!fetched.ok) return { kind: 'problem', problem: fetched.problem, transient: fetched.transient }
    const { tip } = fetched
    onLook?.(source)
    const { rewritten } = branch
    const synced = { kind: 'synced', tip, branch: source.branch, rewritten, problem: read.obstacle } as const
    const quiet = done?.tip === tip && done.generation === generation && !done.retry && done.looks < driftIntervals
    if (quiet || !mayWrite()) {
      if (done) done.looks += 1
      return synced
    }
    const inventory = record.status.inventory ?? []
    const { owners } = options
    let result: SyncResult
    try {
      result = await synchronise({ client, branch, tip, source, spec, inventory, owners, mayWrite })
    } catch (error) {
      // The remote did not give the files of a tip that it gave.
      if (error instanceof SluiceError) return { kind: 'problem', problem: error.problem, transient: true }
      throw error
    }
    if (result.missing !== undefined)
      return { kind: 'problem', problem: pathMissing(source, result.missing), transient: true }
    done = { tip, generation, looks: 0, retry: result.retry }
    return { ...synced, result }
  }

  /** A Secret that the spec names; nothing when it names none. */
  async function secretOf(current: KubeObject, field: string, name: string | undefined): Promise<SecretRead> {
    if (name === undefined) return { ok: true }
    const { namespace } = current.metadata
    try {
      const secret = await client.get(resources.secrets, { namespace, name })
      if (secret) return { ok: true, secret }
      const message = `the Secret ${namespace}/${name} does not exist`
      const reason = missingSecret[field] ?? 'GitAuth'
      return { ok: false, problem: { reason, message, field } }
    } catch (error) {
      if (!asKubeError(error)?.isForbidden) throw error
      const message = `the Secret ${namespace}/${name} may not be read; bind the ClusterRole sluice-secret-reader in ${namespace}`
      return { ok: false, problem: { reason: 'Forbidden', message, field } }
    }
  }

  async function sourceOf(current: KubeObject, spec: RolloutSourceSpec): Promise<SourceRead> {
    const found = await secretOf(current, 'spec.secretRef', spec.secretRef?.name)
    if (!found.ok) return found
    const login = found.secret ? credentialsOf(found.secret, spec.url) : undefined
    if (login && !login.ok) return login
    const signing = await secretOf(current, 'spec.write.signingKeyRef', spec.write.signingKeyRef?.name)
    const key = signing.ok ? signing.secret && signingKeyOf(signing.secret) : signing
    const forge = await secretOf(current, 'spec.write.pullRequest.secretRef', spec.write.pullRequest?.secretRef?.name)
    const token = forge.ok && forge.secret ? secretData(forge.secret).token?.trim() : undefined
    const source = sourceRef(current.metadata, spec, login?.credentials, key?.ok ? key.key : undefined, token)
    const signed = key && !key.ok ? key.problem : wordingProblem(spec.write)
    return { ok: true, source, obstacle: signed ?? (forge.ok ? forgeProblem(source, runtime) : forge.problem) }
  }

  async function report(generation: number, outcome: SourceOutcome): Promise<void> {
    const now = new Date(runtime.now()).toISOString()
    const next = nextStatus({ before: record.status, generation, outcome, lastPush, lastWebhook, now })
    if (isDeepStrictEqual(plain(next), plain(record.status)) || !mayWrite()) return
    if (await record.write(next)) return
    done = undefined
    throw new Error(`somebody else has written the status of RolloutSource ${keyOf(object)}; it is looked at again`)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = new AbortController()
      poked = false
      lookedAt = runtime.monotonic()
      let waitMs = retry.initialMs
      try {
        waitMs = (await look()).waitMs
      } catch (error) {
        if (stopping.signal.aborted) return
        failures += 1
        waitMs = delayOf(retry, failures - 1, runtime.random)
        if (!asKubeError(error)?.isNotFound) onError?.(error)
      }
      await runtime.sleep(waitMs, AbortSignal.any([stopping.signal, wake.signal])).catch(() => undefined)
      const early = lookedAt + POKE_EVERY_MS - runtime.monotonic()
      if (poked && early > 0) await runtime.sleep(early, stopping.signal).catch(() => undefined)
    }
  }

  function poke(hook?: Hook): void {
    if (hook) lastWebhook = hook
    poked = true
    wake.abort()
  }

  const running = run()
  return {
    get ref() {
      return ref
    },
    get problem() {
      return problem
    },
    update(next) {
      const before = object
      const { metadata } = before
      object = next
      record.seen(next)
      const changed = next.metadata.generation !== metadata.generation || next.metadata.uid !== metadata.uid
      if (changed) wake.abort()
      else if (annotationOf(next) !== annotationOf(before)) poke()
      else if ((hookOf(next) ?? '') > (hookOf(before) ?? '') && hookOf(next) !== lastWebhook?.at) poke()
    },
    poke,
    pushed(commit, at) {
      lastPush = { commit, at: new Date(at).toISOString() }
      wake.abort()
    },
    async stop() {
      stopping.abort(new Error('the source was stopped'))
      await running
    },
  }
}

function annotationOf(object: KubeObject): string | undefined {
  return object.metadata.annotations?.[LOOK_ANNOTATION]
}

/** When a webhook was last told of in the status: by another replica, if not by us. */
function hookOf(object: KubeObject): string | undefined {
  return textAt(object, 'status', 'lastWebhook', 'at')
}

/** Why no pull request could be opened, as far as the spec tells. */
function forgeProblem(source: SourceRef, runtime: Runtime): Problem | undefined {
  if (source.write.mode !== 'PullRequest') return undefined
  const found = forgeOf(source, { runtime })
  return found.ok ? undefined : found.problem
}
