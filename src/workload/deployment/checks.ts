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
    inBoth(overlaid, pair) ??
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

/** The canary’s pods carry the canary’s labels by construction; the Service must select them too. */
function notCanary(overlaid: Labels, pair: DestinationPair): Problem | undefined {
  const lacking = missing(overlaid, pair.canary.selector)
  if (!lacking) return undefined
  const key = lacking.slice(0, lacking.indexOf('='))
  const instead = overlaid[key] === undefined ? `do not have it` : `have ${key}=${overlaid[key]}`
  const message = `the Service ${service(pair, 'canary')} selects ${lacking}, but the canary’s pods ${instead}`
  return { reason: 'ServiceExcludesCanary', message }
}

/** Nor may the canary’s pods be where stable traffic goes: the two must differ in a label (then they do so both ways). */
function inBoth(overlaid: Labels, pair: DestinationPair): Problem | undefined {
  const labels = destinationLabels(pair, 'stable')
  if (!hasAll(overlaid, labels)) return undefined
  const stable =
    pair.kind === 'services'
      ? `the stable Service ${service(pair, 'stable')}`
      : `the subset "${pair.stable.name}" of ${pair.declaredIn}`
  return { reason: 'SubsetsOverlap', message: `the canary’s pods would also be in ${stable} (${list(labels)})` }
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
  const message = `HorizontalPodAutoscaler ${keyOf(autoscaler)} would count the canary’s pods: the selector of Deployment ${keyOf(deployment)} (${selector}) has none of the labels by which the canary differs (${differ})`
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
  return pair.kind === 'services' ? `${pair[role].namespace}/${pair[role].name}` : `behind ${pair.declaredIn}`
}

function list(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length === 0 ? 'no labels' : pairs.join(', ')
}
