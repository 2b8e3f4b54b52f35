import { createHash } from 'node:crypto'
import { CONFIG_ANNOTATION } from '../../plan/template.ts'

/** Labels and annotations by which the objects of Deployment mode are known: a contract with what is in the cluster already. */
export const names = {
  /** Label on the user's Deployment, its value the Rollout: the admission policy latches what carries it. */
  rollout: 'sluice.dev/rollout',
  /** Annotation on the user's Deployment: not empty, it lets templates roll without Sluice. */
  breakGlass: 'sluice.dev/break-glass',
  /** Label on the pods of the canary, and in its selector: the user's Deployment. */
  canary: 'sluice.dev/canary',
  /** Label on everything that Sluice creates for a canary: the user's Deployment. */
  canaryOf: 'sluice.dev/canary-of',
  /** Label on everything that Sluice creates for a canary: the Rollout. */
  rolloutName: 'sluice.dev/rollout-name',
  managedBy: 'app.kubernetes.io/managed-by',
  /** Annotation on a pod template: hash of the configuration that its pods are made with. */
  config: CONFIG_ANNOTATION,
  /** Annotation on the canary Deployment: the revision that it was made of. */
  revision: 'sluice.dev/revision',
  /** Annotation on the canary Deployment: pods that Sluice asked for last; an autoscaler may want more. */
  replicas: 'sluice.dev/replicas',
  /** Annotation on the canary Deployment: `contentHash` of the pod template as Sluice applied it. */
  templateHash: 'sluice.dev/template-hash',
  /** Annotation on the autoscaler of the user's Deployment while Sluice raises its minimum: the minimum it had. */
  floorOf: 'sluice.dev/floor-of',
  /** Annotation beside it: the minimum that Sluice has set, by which a minimum that somebody else set since is known. */
  floor: 'sluice.dev/floor',
} as const

/** Value of the label `managed-by`, and the field manager of every write. */
export const MANAGER = 'sluice'

/** The longest value of a label. */
const LABEL = 63

/** Name of the canary of a Deployment. */
export function canaryName(deployment: string): string {
  return `${deployment}-canary`
}

/**
 * A name as the value of a label. Names may be longer than label values: such a one is cut, and told from others with the same beginning
 * by a hash of the whole.
 */
export function labelValue(name: string): string {
  if (name.length <= LABEL) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 10)
  return `${name.slice(0, LABEL - hash.length - 1)}-${hash}`
}

/** The labels of everything that Sluice creates for the canary of a Deployment, and by which alone it deletes. */
export function ownLabels(deployment: string, rollout: string): Record<string, string> {
  return {
    [names.canaryOf]: labelValue(deployment),
    [names.rolloutName]: labelValue(rollout),
    [names.managedBy]: MANAGER,
  }
}
