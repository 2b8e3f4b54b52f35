import type { Problem } from '../../errors.ts'
import { fieldAt, labelsAt } from '../../kube/field.ts'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import { labelValue, names } from './names.ts'
import { canaryPods } from './overlay.ts'
import { type DestinationPair, destinationLabels } from './pair.ts'
import { hasAll, selects } from './selector.ts'

type Labels = Readonly<Record<string, string>>

/**
 * What would make a rollout of this Deployment fail or lie, before anything is created: pods that would be in both destinations, in none,
 * or in the way of an autoscaler. The first that is wrong, naming objects and labels; undefined when all is well.
 */
export function checkDeployment(
  deployment: KubeObject,
  pair: DestinationPair,
  others: { canary: KubeObject | undefined; autoscaler: KubeObject | undefined },
): Problem | undefined {
  const name = `Deployment ${keyOf(deployment)}`
  const labels = labelsAt(deployment, 'spec', 'template', 'metadata', 'labels') ?? {}
  const overlaid = canaryPods(deployment, destinationLabels(pair, 'canary')).labels
  return (
    wrongNamespace(deployment, pair) ??
    notStable(name, labels, pair) ??
    notCanary(overlaid, pair) ??
    inBoth(name, labels, overlaid, pair) ??
    autoscalerOverlap(deployment, overlaid, others.autoscaler, pair) ??
    nameTaken(deployment, others.canary)
  )
}

function wrongNamespace(deployment: KubeObject, pair: DestinationPair): Problem | undefined {
  const { namespace = '' } = deployment.metadata
  const elsewhere = [pair.stable, pair.canary].find((version) => version.namespace !== namespace)
  if (!elsewhere) return undefined
  const message = `the host in ${pair.declaredIn} is a Service of namespace ${elsewhere.namespace}: it cannot select the pods of Deployment ${keyOf(deployment)}`
  return { reason: 'ServiceExcludesCanary', message }
}

/** The Deployment's own pods must be where stable traffic goes. */
function notStable(name: string, labels: Labels, pair: DestinationPair): Problem | undefined {
  const outside = missing(labels, pair.stable.selector)
  if (outside) {
    const message = `the pod template of ${name} lacks the label ${outside}, by which the Service ${service(pair, 'stable')} selects its pods`
    return { reason: 'StableLabelsMissing', message }
  }
  const lacking = missing(labels, pair.stable.labels)
  if (!lacking) return undefined
  const message = `the pod template of ${name} lacks the label ${lacking} of the subset "${pair.stable.name}" in ${pair.declaredIn}`
  return { reason: 'StableLabelsMissing', message }
}

/** The canary's pods carry the canary's labels by construction; the Service must select them too. */
function notCanary(overlaid: Labels, pair: DestinationPair): Problem | undefined {
  const lacking = missing(overlaid, pair.canary.selector)
  if (!lacking) return undefined
  const [key = ''] = lacking.split('=')
  const carried = overlaid[key] === undefined ? 'do not carry' : `carry ${key}=${overlaid[key]} instead of`
  const message = `the canary’s pods ${carried} the label ${carried.startsWith('carry') ? `${lacking},` : `${lacking}`} by which the Service ${service(pair, 'canary')} selects its pods`
  return { reason: 'ServiceExcludesCanary', message }
}

function inBoth(name: string, labels: Labels, overlaid: Labels, pair: DestinationPair): Problem | undefined {
  const [stable, canary] = [destinationLabels(pair, 'stable'), destinationLabels(pair, 'canary')]
  const what = (role: 'stable' | 'canary') =>
    pair.kind === 'services'
      ? `the ${role} Service ${service(pair, role)} (${list(pair[role].selector)})`
      : `the subset "${pair[role].name}" of ${pair.declaredIn} (${list(pair[role].labels)})`
  if (hasAll(overlaid, stable)) {
    return {
      reason: 'SubsetsOverlap',
      message: `the canary’s pods (${list(overlaid)}) would also be in ${what('stable')}`,
    }
  }
  if (!hasAll(labels, canary)) return undefined
  return { reason: 'SubsetsOverlap', message: `the pods of ${name} (${list(labels)}) are also in ${what('canary')}` }
}

/** An autoscaler counts every pod that the Deployment's selector matches, whoever owns it. */
function autoscalerOverlap(
  deployment: KubeObject,
  overlaid: Labels,
  autoscaler: KubeObject | undefined,
  pair: DestinationPair,
): Problem | undefined {
  if (!autoscaler || !selects(fieldAt(deployment, 'spec', 'selector'), overlaid)) return undefined
  const selector = list(labelsAt(deployment, 'spec', 'selector', 'matchLabels') ?? {})
  const differ = list(destinationLabels(pair, 'canary'))
  const message = `HorizontalPodAutoscaler ${keyOf(autoscaler)} would count the canary’s pods: the selector of Deployment ${keyOf(deployment)} (${selector}) matches them, because none of its labels differs (the canary has ${differ})`
  return { reason: 'AutoscalerOverlap', message }
}

function nameTaken(deployment: KubeObject, canary: KubeObject | undefined): Problem | undefined {
  if (!canary || canary.metadata.labels?.[names.canaryOf] === labelValue(deployment.metadata.name)) return undefined
  const message = `Deployment ${keyOf(canary)} exists and is not Sluice’s: it lacks the label ${names.canaryOf}=${labelValue(deployment.metadata.name)}`
  return { reason: 'CanaryNameTaken', message }
}

/** That the Deployment does not exist, or is going. */
export function deploymentMissing(namespace: string, name: string, deployment: KubeObject | undefined): Problem {
  const state = deployment ? 'is being deleted' : 'does not exist'
  const field = 'spec.workload.deployment.name'
  return { reason: 'WorkloadMissing', message: `Deployment ${namespace}/${name} ${state}`, field }
}

/** The first of the wanted labels that is not there, as `key=value`. */
function missing(labels: Labels, wanted: Labels): string | undefined {
  const found = Object.entries(wanted).find(([key, value]) => labels[key] !== value)
  return found && `${found[0]}=${found[1]}`
}

function service(pair: DestinationPair, role: 'stable' | 'canary'): string {
  return pair.kind === 'services' ? `${pair[role].namespace}/${pair[role].name}` : `in front of ${pair.declaredIn}`
}

function list(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length === 0 ? 'no labels' : pairs.join(', ')
}
