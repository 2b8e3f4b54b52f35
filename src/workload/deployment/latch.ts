import type { Logger } from 'pino'
import { whoAmI } from '../../approval/kubernetes.ts'
import type { KubeClient } from '../../kube/client.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentObservation } from '../../plan/observation.ts'
import type { Runtime } from '../../runtime.ts'
import { labelValue, MANAGER, names } from './names.ts'

/** On an object of a dry run: the admission policy treats it as it would treat Sluice's own resume. */
const REHEARSE_RESUME = 'sluice.dev/rehearse-resume'
/** On the pod template of a dry run: what makes it another template. */
const PROOF = 'sluice.dev/proof'

type LatchState = DeploymentObservation['latch']

/** Whose latch is tried, and for which Rollout. */
interface LatchProof {
  /** `namespace/name` of the Rollout. */
  key: string
  namespace: string
  rollout: string
  deployment: string
}

/** What this process has found out about the admission policy that latches, by the uid of the Deployment it was tried on. */
export interface LatchMemory {
  of(uid: string): LatchState
}

/** The memory, and how it comes by what it knows. */
export interface Latch extends LatchMemory {
  /**
   * Tries it, one dry run per Deployment at a time, and tells `onAnswer` when the API server has answered. Never rejects: a request that
   * failed is no answer, what was known stays, and why it failed is what the promise says.
   */
  prove(proof: LatchProof): Promise<{ failed?: unknown }>
  /** A resume of Sluice's own was latched again, or something else showed that the latch does not work as it should. */
  refute(uid: string, message: string): void
  /** Who Sluice is to the API server, in words where it does not say: the user that the policy has to exempt. Never rejects. */
  username(): Promise<string>
  forget(uid: string): void
}

/**
 * The proof is a change of the pod template that is not stored. It has to come back paused, because the policy latches Sluice's own dry
 * runs too; and the rehearsal of a resume has to come back unpaused, or Sluice could never let a template go.
 */
export function createLatch(options: {
  client: Pick<KubeClient, 'patch' | 'request'>
  runtime: Runtime
  log: Pick<Logger, 'info' | 'warn'>
  /** Told the Rollout's key. */
  onAnswer(key: string): void
}): Latch {
  const { client, runtime, log, onAnswer } = options
  const known = new Map<string, LatchState>()
  const underWay = new Map<string, Promise<{ failed?: unknown }>>()
  let user: string | undefined

  async function username(): Promise<string> {
    try {
      user ??= (await whoAmI(client)).name
      return user
    } catch (error) {
      log.warn({ err: error }, 'the API server does not say as whom Sluice runs')
      return 'that of its service account'
    }
  }

  /** What would become of a changed template: its Deployment's uid, and whether it would be latched. */
  async function rehearse({ namespace, rollout, deployment }: LatchProof, asResume: boolean) {
    const annotations = { [names.breakGlass]: null, [REHEARSE_RESUME]: asResume ? 'yes' : null }
    const proof = String(runtime.now())
    const body = {
      metadata: { labels: { [names.rollout]: labelValue(rollout) }, annotations },
      spec: { paused: null, template: { metadata: { annotations: { [PROOF]: proof } } } },
    }
    const key = { namespace, name: deployment }
    const dryRun = { fieldManager: MANAGER, dryRun: true }
    const answer = await client.patch(resources.deployments, key, { type: 'merge', body }, dryRun)
    const spec: unknown = answer.spec
    const paused = typeof spec === 'object' && spec !== null && Reflect.get(spec, 'paused') === true
    return { uid: answer.metadata.uid ?? '', paused }
  }

  async function tried(proof: LatchProof): Promise<{ failed?: unknown }> {
    const { namespace, deployment } = proof
    try {
      const { uid, paused } = await rehearse(proof, false)
      if (!paused) {
        const message = `no admission policy latches Deployment ${namespace}/${deployment}: a new pod template would roll to all of its pods at once`
        answered(uid, message)
      } else if ((await rehearse(proof, true)).paused) {
        const message = `the admission policy that latches Deployment ${namespace}/${deployment} does not exempt the user that Sluice runs as, ${await username()}: name it in the matchConditions of latch.sluice.dev`
        answered(uid, message)
      } else answered(uid)
    } catch (error) {
      if (!asKubeError(error)?.isNotFound) log.warn({ rollout: proof.key, err: error }, 'latch not tried')
      return { failed: error }
    }
    onAnswer(proof.key)
    return {}
  }

  function answered(uid: string, message?: string): void {
    const before = known.get(uid)?.state
    const at = runtime.now()
    known.set(uid, message === undefined ? { state: 'Proven', at } : { state: 'Missing', at, message })
    if (message !== undefined && before !== 'Missing') log.warn({ detail: message }, 'latch missing')
  }

  return {
    of: (uid) => known.get(uid) ?? { state: 'Unknown' },
    prove(proof) {
      const name = `${proof.namespace}/${proof.deployment}`
      const running = underWay.get(name)
      if (running) return running
      const started = tried(proof).finally(() => underWay.delete(name))
      underWay.set(name, started)
      return started
    },
    refute: (uid, message) => answered(uid, message),
    username,
    forget: (uid) => void known.delete(uid),
  }
}
