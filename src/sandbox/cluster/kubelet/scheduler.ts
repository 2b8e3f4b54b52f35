import { quantityValue } from '../../apiserver/quantity.ts'
import type { Pod } from '../objects.ts'
import { behaviourOf } from './behaviour.ts'

/** The sandbox's one imagined node. */
export const NODE = 'sandbox'

const LABELS: Record<string, string> = {
  'kubernetes.io/hostname': NODE,
  'kubernetes.io/os': 'linux',
  'kubernetes.io/arch': 'amd64',
}

// As large as any pod that means to run: only what could run nowhere is refused.
const CAPACITY: Record<string, number> = { cpu: 64, memory: 256 * 2 ** 30 }

/** Why the node does not take the pod, in the words of Kubernetes' scheduler; undefined when it does. */
export function whyUnschedulable(pod: Pod): string | undefined {
  const reasons = [
    ...(behaviourOf(pod).unschedulable ? ['1 node(s) were unschedulable'] : []),
    ...(fitsSelector(pod) ? [] : ["1 node(s) didn't match Pod's node affinity/selector"]),
    ...Object.keys(CAPACITY)
      .filter((resource) => requestOf(pod, resource) > (CAPACITY[resource] ?? 0))
      .map((resource) => `1 Insufficient ${resource}`),
  ]
  if (reasons.length === 0) return undefined
  const preemption = 'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'
  return `0/1 nodes are available: ${reasons.join(', ')}. ${preemption}`
}

/** What the pod's containers request of a resource in all, in its base unit. */
export function requestOf(pod: Pod, resource: string): number {
  return pod.spec.containers.reduce((total, { resources }) => {
    const quantity = resources?.requests?.[resource] ?? resources?.limits?.[resource]
    return total + (quantity === undefined ? 0 : quantityValue(String(quantity)))
  }, 0)
}

function fitsSelector(pod: Pod): boolean {
  return Object.entries(pod.spec.nodeSelector ?? {}).every(([name, value]) => LABELS[name] === value)
}
