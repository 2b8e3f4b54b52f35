import type { KubeObject, ObjectKey } from './object.ts'
import { isRecord } from './response.ts'

/** The part of a Lease's spec that leader election uses. */
export interface LeaseRecord {
  /** Empty when released. */
  holder: string
  durationMs: number | undefined
  transitions: number
  acquireTime: string | undefined
}

export function readLease(lease: KubeObject): LeaseRecord {
  const spec = isRecord(lease.spec) ? lease.spec : {}
  const { holderIdentity, leaseDurationSeconds, leaseTransitions, acquireTime } = spec
  return {
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    durationMs:
      typeof leaseDurationSeconds === 'number' && leaseDurationSeconds > 0 ? leaseDurationSeconds * 1000 : undefined,
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
    acquireTime: typeof acquireTime === 'string' ? acquireTime : undefined,
  }
}

/** The Lease as `holder` writes it to acquire or renew it. Keeps whatever else is on the object. */
export function heldLease(
  key: ObjectKey,
  current: KubeObject | undefined,
  claim: { holder: string; durationMs: number; renewTime: string },
): KubeObject {
  const before = current && readLease(current)
  const kept = before?.holder === claim.holder
  return {
    ...(current ?? { metadata: { ...key } }),
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: current?.metadata ?? { ...key },
    spec: {
      ...(isRecord(current?.spec) ? current.spec : {}),
      holderIdentity: claim.holder,
      leaseDurationSeconds: Math.ceil(claim.durationMs / 1000),
      acquireTime: kept ? (before.acquireTime ?? claim.renewTime) : claim.renewTime,
      renewTime: claim.renewTime,
      leaseTransitions: before ? before.transitions + (kept ? 0 : 1) : 0,
    },
  }
}

/** The Lease without a holder: the next candidate takes it at its next look. */
export function releasedLease(current: KubeObject, renewTime: string): KubeObject {
  const spec = isRecord(current.spec) ? current.spec : {}
  return { ...current, spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime } }
}

/**
 * A Kubernetes MicroTime. Candidates notice a renewal because the record changes, so two of them must not look the same
 * even when the wall clock stands still: `sequence` fills the microseconds.
 */
export function microTime(now: number, sequence: number): string {
  return new Date(now).toISOString().replace('Z', `${String(sequence % 1000).padStart(3, '0')}Z`)
}
