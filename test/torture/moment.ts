import type { RolloutStatus } from '../../src/api/status.ts'
import { fieldAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { ApiError, type ApiServer, type ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { refs } from '../scenario/stage.ts'
import { weightsOf } from './story.ts'

/** A write that means something: what the object says with it, and what it said before. */
export interface Moment {
  name: string
  ref: ResourceRef
  is(now: KubeObject, before: KubeObject | undefined): boolean
}

/** What a Rollout says of itself. */
export const statusOf = (object: KubeObject | undefined) => (object?.status ?? {}) as RolloutStatus
const canary = (route: KubeObject | undefined) => {
  const weights = route ? weightsOf(route) : {}
  return weights.v2 ?? weights.canary ?? 0
}
const owes = (object: KubeObject | undefined) => (statusOf(object).git?.pending ?? []).length > 0

function recorded(name: string, is: (now: RolloutStatus, before: RolloutStatus) => boolean): Moment {
  return { name, ref: refs.rollouts, is: (now, before) => before !== undefined && is(statusOf(now), statusOf(before)) }
}

const started = recorded('the start is recorded', (now, before) => now.attempt !== before.attempt)
const ended = (result: string) =>
  recorded(
    `the outcome ${result} is recorded`,
    (now, before) => !before.lastOutcome && now.lastOutcome?.result === result,
  )

function intended(index: number): Moment {
  return recorded(
    `the intent to enter step ${index} is recorded`,
    (now, before) => now.step?.entering?.index === index && !before.step?.entering,
  )
}

function entered(index: number): Moment {
  return recorded(
    `step ${index} is recorded as entered`,
    (now, before) => now.step?.index === index && before.step?.index !== index,
  )
}

/** The write of the weight itself. */
export function weightSet(from: number, to: number): Moment {
  return {
    name: `the weight is set from ${from} to ${to}`,
    ref: refs.virtualServices,
    is: (now, before) => canary(before) === from && canary(now) === to,
  }
}

const paid: Moment = {
  name: 'the last commit is recorded as made',
  ref: refs.rollouts,
  is: (now, before) => statusOf(now).lastOutcome !== undefined && owes(before) && !owes(now),
}
const putBack: Moment = {
  name: 'the desired version is put back from Git',
  ref: refs.rollouts,
  is: (now, before) => desired(before) === 'v2' && desired(now) === 'v1',
}
const healthy = recorded(
  'the end is recorded as healthy',
  (now, before) => before.phase === 'RolledBack' && now.phase === 'Healthy',
)

function desired(rollout: KubeObject | undefined): string | undefined {
  return textAt(rollout, 'spec', 'workload', 'subsets', 'desired')
}

/** Everything that a rollout which goes wrong writes to the cluster. */
export const badMoments: Moment[] = [
  started,
  intended(1),
  weightSet(0, 10),
  entered(1),
  weightSet(10, 0),
  ended('RolledBack'),
  paid,
  putBack,
  healthy,
]

/** What a rollout writes that people take back. */
export const revertedMoments: Moment[] = [
  {
    name: 'the weight is set to 0',
    ref: refs.virtualServices,
    is: (now, before) => canary(before) > 0 && canary(now) === 0,
  },
  ended('Reverted'),
]

/** What only a rollout writes that goes all the way, with an approval before step 2. */
export const goodMoments: Moment[] = [
  { name: 'the question is asked', ref: refs.approvals, is: (_, before) => before === undefined },
  recorded(
    'the question is recorded as asked',
    (now, before) => now.approval?.state === 'Pending' && before.approval === undefined,
  ),
  intended(2),
  {
    name: 'the question is closed',
    ref: refs.approvals,
    is: (now, before) =>
      textAt(now, 'status', 'state') === 'Consumed' && textAt(before, 'status', 'state') !== 'Consumed',
  },
  weightSet(10, 50),
  entered(3),
  ended('Promoted'),
  paid,
]

const replicas = (deployment: KubeObject | undefined) => Number(fieldAt(deployment, 'spec', 'replicas') ?? 0)
const isCanary = ({ metadata }: KubeObject) => metadata.name === 'my-app-canary'

const canaryMade: Moment = {
  name: 'the canary Deployment is made',
  ref: refs.deployments,
  is: (now, before) => isCanary(now) && before === undefined,
}
const canaryScaled: Moment = {
  name: 'the canary Deployment is scaled for the next step',
  ref: refs.deployments,
  is: (now, before) => isCanary(now) && before !== undefined && replicas(now) > replicas(before),
}
const resumed: Moment = {
  name: 'the Deployment is resumed',
  ref: refs.deployments,
  is: (now, before) =>
    !isCanary(now) && fieldAt(before, 'spec', 'paused') === true && fieldAt(now, 'spec', 'paused') !== true,
}

/** What only a Deployment's rollout writes that goes all the way, and one that goes back. */
export const goodDeploymentMoments: Moment[] = [canaryMade, canaryScaled, resumed, weightSet(100, 0)]
export const badDeploymentMoments: Moment[] = [canaryMade, weightSet(10, 0), resumed]

/** Dies before the write is served, before its answer is heard, or first the one and then, when it comes again, the other. */
export type Deaths = 'Before' | 'After' | 'Both'

/** Kills at a moment. Answers with what was reached so far: the number of deaths. */
export function trapMoment(
  api: ApiServer,
  namespace: string,
  moment: Moment,
  kill: (when: string) => void,
  deaths: Deaths = 'Both',
): () => number {
  let died = 0
  const before = new Map<string, KubeObject>()
  api.admission.addValidating(({ object, oldObject, namespace: where, type, user, dryRun }) => {
    if (deaths === 'After' || died > 0) return
    if (!object || dryRun || where !== namespace || user.username !== CONTROLLER_USER) return
    if (type.plural !== moment.ref.plural || type.group !== moment.ref.group || !moment.is(object, oldObject)) return
    died++
    kill(`${moment.name}, before it is served`)
    throw new ApiError(503, 'ServiceUnavailable', 'the client died on the way')
  })
  api.storage.subscribe(moment.ref, (type, object) => {
    if (object.metadata.namespace !== namespace || type === 'DELETED') return
    const last = before.get(object.metadata.name)
    before.set(object.metadata.name, object)
    if (deaths === 'Before' || died !== (deaths === 'Both' ? 1 : 0) || !moment.is(object, last)) return
    died++
    kill(`${moment.name}, before it is answered`)
  })
  return () => died
}
