import type { Manifest } from './kustomize.ts'

export type Kstatus = 'Current' | 'InProgress' | 'Failed' | 'Terminating'

/**
 * What kstatus computes of a custom resource: its generic rules, in their order.
 * https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
 */
export function kstatus({ metadata, status }: Manifest): Kstatus {
  if (metadata.deletionTimestamp) return 'Terminating'
  const observed = status?.observedGeneration
  if (observed !== undefined && observed !== metadata.generation) return 'InProgress'
  const is = (type: string, truth: string) =>
    (status?.conditions ?? []).some((c: Manifest) => c.type === type && c.status === truth)
  if (is('Reconciling', 'True')) return 'InProgress'
  if (is('Stalled', 'True')) return 'Failed'
  if (is('Ready', 'False') || is('Ready', 'Unknown')) return 'InProgress'
  return 'Current'
}

/** Whether `kubectl wait --for=condition=Ready` would return: a condition about an older generation does not count. */
export function isReadyForKubectl({ metadata, status }: Manifest): boolean {
  const ready = (status?.conditions ?? []).find((c: Manifest) => c.type === 'Ready')
  const observed = ready?.observedGeneration ?? status?.observedGeneration
  return ready?.status === 'True' && (observed === undefined || observed >= metadata.generation)
}

/** What Flux makes of healthCheckExprs (its RFC 9): an expression that cannot be evaluated leaves the object unknown. */
export function flux(
  object: Manifest,
  evaluate: (expression: string) => unknown,
  exprs: { inProgress?: string; failed?: string; current: string },
): Exclude<Kstatus, 'Terminating'> | 'Unknown' {
  const observed = object.status?.observedGeneration
  if (observed !== undefined && observed !== object.metadata.generation) return 'InProgress'
  try {
    if (exprs.inProgress && evaluate(exprs.inProgress) === true) return 'InProgress'
    if (exprs.failed && evaluate(exprs.failed) === true) return 'Failed'
    return evaluate(exprs.current) === true ? 'Current' : 'InProgress'
  } catch {
    return 'Unknown'
  }
}
