import type { ErrorCode } from '../../errors.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import type { DeploymentEffect } from '../../plan/effects.ts'
import type { DeploymentHands, HandsResult, HandsTarget } from '../hands.ts'
import { adopt, release } from './hands-adopt.ts'
import { guarded, type HandsClient, type HandsParts, refusal } from './hands-api.ts'
import { removeCanary, scaleCanary } from './hands-canary.ts'
import { nameOf } from './hands-deployment.ts'
import { floor } from './hands-floor.ts'
import { restoreTemplate, resume } from './hands-roll.ts'
import type { Latch } from './latch.ts'

/**
 * The hands of Deployment mode over the Kubernetes API. Everything is read anew and written on the version that was read, so that nothing
 * a person wrote is lost; what is done already costs one request.
 */
export function createDeploymentHands(options: {
  client: HandsClient
  reader: ObjectReader
  latch: Latch
  /** Checked right before each write (I6). */
  isLeader(): boolean
}): DeploymentHands {
  const h: HandsParts = { ...options, client: guarded(options.client, options.isLeader) }
  return {
    async act(target, effect) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await one(h, target, effect)
        } catch (error) {
          if (attempt < ATTEMPTS && effect.kind !== 'resume' && asKubeError(error)?.isConflict) continue
          const refused: ErrorCode = effect.kind === 'scaleCanary' ? 'CanaryRefused' : 'ManifestRefused'
          return refusal(error, `${target.namespace}/${nameOf(target)}: ${tasks[effect.kind]}`, refused)
        }
      }
    },
  }
}

/** Controllers write status all the time: a hand that reads anew tries again at once. A resume is for one version and no other. */
const ATTEMPTS = 4

/** What could not be done, for messages. */
const tasks = {
  adopt: 'the Deployment was not labelled',
  proveLatch: 'the latch was not tried',
  scaleCanary: 'the canary Deployment was not made',
  removeCanary: 'the canary Deployment was not removed',
  resume: 'the Deployment was not resumed',
  restoreTemplate: 'the pod template was not put back',
  floor: 'the minimum of the autoscaler was not set',
  release: 'the Deployment was not released',
} satisfies Record<DeploymentEffect['kind'], string>

async function one(h: HandsParts, target: HandsTarget, effect: DeploymentEffect): Promise<HandsResult> {
  switch (effect.kind) {
    case 'adopt':
      return adopt(h, target, effect)
    case 'proveLatch': {
      const { key, namespace, rollout } = target
      const { failed } = await h.latch.prove({ key, namespace, rollout, deployment: nameOf(target) })
      if (failed !== undefined) throw failed
      return { done: true }
    }
    case 'scaleCanary':
      return scaleCanary(h, target, effect)
    case 'removeCanary':
      return removeCanary(h, target)
    case 'resume':
      return resume(h, target, effect)
    case 'restoreTemplate':
      return restoreTemplate(h, target, effect)
    case 'floor':
      return floor(h, target, effect)
    case 'release':
      return release(h, target, effect)
  }
}
