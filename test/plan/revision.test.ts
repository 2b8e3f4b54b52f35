import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalJson,
  contentHash,
  deploymentRevision,
  type RevisionWorkload,
  revisionOf,
  sameRevision,
  templateContent,
} from '../../src/plan/revision.ts'

const declared = {
  metadata: { labels: { app: 'checkout', version: 'v2' } },
  spec: {
    serviceAccountName: 'checkout',
    containers: [
      {
        name: 'app',
        image: 'registry.example/checkout:2.0.0',
        ports: [{ containerPort: 8080 }],
        env: [{ name: 'EMPTY' }, { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
        readinessProbe: { httpGet: { port: 8080, path: '/ready' } },
      },
    ],
    volumes: [{ name: 'config', configMap: { name: 'checkout' } }],
  },
}

/** The same template as a real API server answers it. */
const defaulted = {
  metadata: {
    creationTimestamp: null,
    labels: { version: 'v2', app: 'checkout' },
    annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-11-22T18:00:00Z' },
  },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'registry.example/checkout:2.0.0',
        imagePullPolicy: 'IfNotPresent',
        ports: [{ containerPort: 8080, protocol: 'TCP' }],
        env: [
          { name: 'EMPTY', value: '' },
          { name: 'IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
        ],
        readinessProbe: {
          httpGet: { path: '/ready', port: 8080, scheme: 'HTTP' },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        resources: {},
        args: [],
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
      },
    ],
    volumes: [{ name: 'config', configMap: { name: 'checkout', defaultMode: 420 } }],
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    serviceAccount: 'checkout',
    serviceAccountName: 'checkout',
    terminationGracePeriodSeconds: 30,
  },
}

function workload(overrides: Partial<RevisionWorkload> = {}): RevisionWorkload {
  return { name: 'checkout-v2', uid: 'u1', generation: 3, template: declared, ...overrides }
}

function edited(change: (copy: typeof declared) => void) {
  const copy = structuredClone(declared)
  change(copy)
  return copy
}

describe('revisionOf', () => {
  test('names subset, hash, image and the workloads it was read from', () => {
    const revision = revisionOf('v2', [workload({ name: 'b', uid: 'u2' }), workload({ name: 'a' })])
    expect(revision).toMatchObject({ name: 'v2', format: 2, image: 'registry.example/checkout:2.0.0' })
    expect(revision.revision).toBe(`v2-${revision.hash}`)
    expect(revision.hash).toMatch(/^[0-9a-f]{10}$/)
    expect(revision.workloads.map((w) => w.name)).toEqual(['a', 'b'])
  })

  test('never changes for the same content from one release of Sluice to the next', () => {
    // A different value here means REVISION_FORMAT must be raised.
    expect(contentHash([declared])).toBe('4cd3680251')
  })

  test('is the same before and after the API server filled in defaults, and after a restart', () => {
    expect(contentHash([defaulted])).toBe(contentHash([declared]))
  })

  test('is the same for the template of the ReplicaSet', () => {
    const template = edited((t) => Object.assign(t.metadata.labels, { 'pod-template-hash': '5d8f' }))
    expect(contentHash([template])).toBe(contentHash([declared]))
  })

  test('does not depend on which Deployment carries which template, on replicas, or on order', () => {
    const other = edited((t) => (t.spec.containers[0]!.image = 'other:1'))
    expect(contentHash([declared, other])).toBe(contentHash([other, declared]))
    expect(contentHash([declared, declared])).not.toBe(contentHash([declared]))
  })

  test.each([
    ['image', edited((t) => (t.spec.containers[0]!.image = 'registry.example/checkout:2.0.1'))],
    ['label', edited((t) => (t.metadata.labels.version = 'v3'))],
    ['environment', edited((t) => Object.assign(t.spec.containers[0]!.env[0]!, { value: 'x' }))],
    ['probe', edited((t) => (t.spec.containers[0]!.readinessProbe.httpGet.path = '/'))],
    ['pull policy', edited((t) => Object.assign(t.spec.containers[0]!, { imagePullPolicy: 'Always' }))],
    ['annotation', edited((t) => Object.assign(t.metadata, { annotations: { 'prometheus.io/scrape': 'true' } }))],
    ['service account', edited((t) => (t.spec.serviceAccountName = 'other'))],
    ['false that is no default', edited((t) => Object.assign(t.spec, { automountServiceAccountToken: false }))],
    ['empty selector, which is not an absent one', edited((t) => Object.assign(t.spec, { affinity: { x: {} } }))],
    ['value that is not the default', edited((t) => Object.assign(t.spec, { hostNetwork: true }))],
    ['unknown field', edited((t) => Object.assign(t.spec, { somethingNew: 1 }))],
  ])('changes with a changed %s', (_what, template) => {
    expect(contentHash([template])).not.toBe(contentHash([declared]))
  })

  test('survives templates of any shape', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (template) => {
        expect(contentHash([template])).toMatch(/^[0-9a-f]{10}$/)
      }),
    )
  })
})

describe('deploymentRevision', () => {
  const digest = 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
  const workload = { name: 'checkout-canary', uid: 'u1', generation: 3 }
  const named = (image: string | undefined, deployment = 'checkout') =>
    deploymentRevision(deployment, { hash: '0123456789', format: 2, image }, workload)

  test.each([
    ['registry.example/checkout:2.0.0', '2.0.0'],
    ['registry.example:5000/checkout:v2', 'v2'],
    ['registry.example:5000/checkout', 'checkout'],
    ['checkout', 'checkout'],
    [undefined, 'checkout'],
    ['', 'checkout'],
    [`registry.example:5000/checkout@${digest}`, '9f86d081884c'],
    [`registry.example/checkout:2.0.0@${digest}`, '2.0.0'],
    ['checkout:_2.0_', '2.0'],
    ['checkout:___', 'checkout'],
    [`checkout:${'a'.repeat(51)}.b`, 'a'.repeat(51)],
  ])('%s is called %s', (image, name) => {
    expect(named(image)).toMatchObject({ name, revision: `${name}-0123456789`, hash: '0123456789', image })
  })

  test('can always be the value of a label', () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,250}$/), (image, deployment) => {
        const { revision } = named(image, deployment)
        expect(revision).toMatch(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
      }),
    )
  })

  test('is the same for the template in Git, of the Deployment and of its ReplicaSet', () => {
    const ofSet = edited((t) => Object.assign(t.metadata.labels, { 'pod-template-hash': '5d8f' }))
    const [git, live, set] = [declared, defaulted, ofSet].map((t) =>
      deploymentRevision('checkout', templateContent(t), workload),
    )
    expect(live).toEqual(git)
    expect(set).toEqual(git)
    expect(git).toEqual({
      revision: `2.0.0-${contentHash([declared])}`,
      name: '2.0.0',
      hash: contentHash([declared]),
      format: 2,
      image: 'registry.example/checkout:2.0.0',
      workloads: [workload],
    })
  })
})

describe('sameRevision', () => {
  const recorded = revisionOf('v2', [workload()])

  test('holds for the same content on a new object', () => {
    expect(sameRevision(recorded, revisionOf('v2', [workload({ uid: 'u9', generation: 1 })]))).toBe(true)
  })

  test('holds for an untouched object whose hash is computed in another way', () => {
    expect(sameRevision({ ...recorded, format: 0, hash: 'old' }, revisionOf('v2', [workload()]))).toBe(true)
  })

  test('does not trust equal hashes of different formats', () => {
    expect(sameRevision({ ...recorded, format: 0 }, revisionOf('v2', [workload({ generation: 4 })]))).toBe(false)
  })

  test('fails for changed content, another name, another set of workloads', () => {
    const template = edited((t) => (t.spec.containers[0]!.image = 'x:2'))
    expect(sameRevision(recorded, revisionOf('v2', [workload({ generation: 4, template })]))).toBe(false)
    expect(sameRevision(recorded, revisionOf('v1', [workload()]))).toBe(false)
    expect(sameRevision(recorded, revisionOf('v2', [workload(), workload({ uid: 'u2', name: 'b' })]))).toBe(false)
    expect(sameRevision({ ...recorded, hash: 'old', workloads: [] }, { ...recorded, workloads: [] })).toBe(false)
  })
})

describe('canonicalJson', () => {
  test('is equal exactly for equal content, whatever the order of keys', () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(reversed)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([k, v]) => [k, reversed(v)]),
            )
          : value
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value))
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})
