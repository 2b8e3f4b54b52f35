import { parse } from 'yaml'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { PendingCommit } from '../../src/api/status.ts'
import type { RolloutRef } from '../../src/git/owned.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import { contentHash } from '../../src/plan/revision.ts'
import { moveTo, virtualService } from './shop.ts'

/** A Deployment whose template people write in their own way; `note` stands inside the template, `replicas` outside. */
export const deployment = (image: string, { name = 'checkout', replicas = 2, note = 'pods' } = {}) => `# ${name}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: shop
spec:
  replicas: ${replicas}   # as people like
  template:
    # ${note}
    metadata: { labels: { app: ${name}, version: stable } }
    spec:
      containers:
        - name: 'app'
          image: "${image}"   # ${note}
  selector: { matchLabels: { app: ${name} } }
`

/** The route of Deployment mode: the pair is the same whatever the version. */
export const route = (stable: number, canary: number, name = 'checkout') =>
  virtualService(stable, canary, name).replace('subset: v1', 'subset: stable').replace('subset: v2', 'subset: canary')

export function deploymentRollout(name = 'checkout'): RolloutRef {
  const spec = rolloutSpec.parse({
    workload: { deployment: { name } },
    traffic: { istio: { virtualService: { name }, destinationRule: { name } } },
  })
  return { namespace: 'shop', name, spec }
}

export interface Content {
  revision: string
  name: string
  hash: string
}

/** The revision of the template in a manifest. */
export function contentOf(manifest: string): Content {
  const { template } = parse(manifest).spec
  const hash = contentHash([template])
  const name = String(template.spec.containers[0].image).replace(/^.*:/, '')
  return { revision: `${name}-${hash}`, name, hash }
}

export function step(weight: number, more: Partial<PendingCommit> = {}): PendingCommit {
  return moveTo(weight, { weights: { stable: 'stable', canary: 'canary', weight }, ...more })
}

/** Puts the template of `to` back where that of `from` is. */
export function rollback(from: Content, to: Content, more: Partial<PendingCommit> = {}): PendingCommit {
  const only = ({ revision, hash }: Content) => ({ revision, hash })
  const template = { deployment: 'checkout', from: only(from), to: only(to) }
  return step(0, { kind: 'rollback', subject: 'checkout: roll back', template, ...more })
}

export function memory(stable: Content, bad: Content[] = []): StateFile {
  const at = '2026-11-22T10:00:00Z'
  const knownBad = bad.map((content) => ({ ...content, reason: 'success-rate', at }))
  return { stable, step: { index: 1, weight: 10 }, attempt: 1, knownBad, evidence: [], approvals: [] }
}
