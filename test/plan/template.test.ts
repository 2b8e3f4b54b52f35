import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { plainQuantity } from '../../src/plan/quantity.ts'
import { contentHash } from '../../src/plan/revision.ts'
import { essentialTemplate } from '../../src/plan/template.ts'
import { deploymentWith, templates } from '../conformance/templates.corpus.ts'

const served = parse(readFileSync(new URL('../conformance/templates.served.yaml', import.meta.url), 'utf8'))
const declared = (template: { metadata?: object; spec: object }) => deploymentWith('t', template).spec.template

describe('a manifest and what a real API server serves of it are one content', () => {
  test.each(Object.keys(templates))('%s', (what) => {
    expect(essentialTemplate(declared(templates[what]!))).toEqual(essentialTemplate(served[what].defaulted))
    expect(contentHash([declared(templates[what]!)])).toBe(contentHash([served[what].defaulted]))
  })

  test('different manifests are not', () => {
    const all = Object.values(templates).map((t) => contentHash([declared(t)]))
    expect(new Set(all).size).toBe(all.length)
  })
})

describe('what changes how pods behave is not left out', () => {
  const base = {
    metadata: { labels: { app: 'x' } },
    spec: {
      containers: [
        {
          name: 'web',
          image: 'web:1',
          securityContext: { runAsUser: 1 },
          resources: { limits: { cpu: '1', memory: '1Gi' } },
          readinessProbe: { httpGet: { port: 80 }, periodSeconds: 5 },
          ports: [{ containerPort: 80 }],
        },
      ],
      volumes: [
        { name: 'a', configMap: { name: 'a' } },
        { name: 'b', ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'] } } } },
      ],
    },
  }
  type Template = typeof base
  const web = (t: Template) => t.spec.containers[0]!
  test.each<[string, (t: Template) => unknown]>([
    ['root', (t) => (web(t).securityContext.runAsUser = 0)],
    ['a flag that is off although its default is on', (t) => Object.assign(t.spec, { enableServiceLinks: false })],
    ['privilege escalation', (t) => Object.assign(web(t).securityContext, { allowPrivilegeEscalation: false })],
    ['no time to end', (t) => Object.assign(t.spec, { terminationGracePeriodSeconds: 0 })],
    ['a hundredth of a processor', (t) => (web(t).resources.limits.cpu = '1010m')],
    ['a byte', (t) => (web(t).resources.limits.memory = '1073741825')],
    ['another notation of less', (t) => (web(t).resources.limits.memory = '1G')],
    ['a limit that is no longer there', (t) => Reflect.deleteProperty(web(t).resources.limits, 'memory')],
    ['a probe’s period back to its default', (t) => (web(t).readinessProbe.periodSeconds = 10)],
    ['a host port', (t) => Object.assign(web(t).ports[0]!, { hostPort: 80 })],
    ['the mode of files', (t) => Object.assign(t.spec.volumes[0]!.configMap!, { defaultMode: 0o600 })],
    [
      'no storage class, which is not the default one',
      (t) => Object.assign(t.spec.volumes[1]!.ephemeral!.volumeClaimTemplate.spec, { storageClassName: '' }),
    ],
    ['a label without a value', (t) => Object.assign(t.metadata.labels, { canary: '' })],
    [
      'an annotation that says no',
      (t) => Object.assign(t.metadata, { annotations: { 'sidecar.istio.io/inject': 'false' } }),
    ],
    ['an empty field that is not known', (t) => Object.assign(t.spec, { somethingNew: '' })],
  ])('%s', (_, change) => {
    const changed = structuredClone(base)
    change(changed)
    expect(contentHash([changed])).not.toBe(contentHash([base]))
  })

  test('neither its argument nor anything in it is changed', () => {
    const before = structuredClone(base)
    essentialTemplate(base)
    expect(base).toEqual(before)
  })

  test('what is reduced stays as it is when it is reduced again', () => {
    for (const template of Object.values(templates)) {
      const once = essentialTemplate(declared(template))
      expect(essentialTemplate(once)).toEqual(once)
    }
  })
})

describe('quantities', () => {
  test.each([
    [1, '1'],
    ['1', '1'],
    ['1000m', '1'],
    ['1e0', '1'],
    ['0.5Gi', '536870912'],
    ['512Mi', '536870912'],
    ['1.5', '1.5'],
    ['.5', '0.5'],
    ['1E3', '1000'],
    ['1e3', '1000'],
    ['1k', '1000'],
    ['1E', '1000000000000000000'],
    ['2Ei', '2305843009213693952'],
    ['1n', '0.000000001'],
    ['0.1n', '0.000000001'],
    ['-0', '0'],
    ['-1500m', '-1.5'],
    ['0', '0'],
    ['100', '100'],
  ])('%s is %s', (text, plain) => expect(plainQuantity(text)).toBe(plain))

  test.each(['', 'a lot', '1Xi', '1 Gi', '--1', null, true])('%s is none and stays', (value) => {
    expect(plainQuantity(value)).toBe(value)
  })

  test('are equal exactly when the numbers are', () => {
    const amount = fc.integer({ min: 0, max: 1_000_000 })
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        expect(plainQuantity(`${a}m`)).toBe(plainQuantity(`${a / 1000}`))
        expect(plainQuantity(`${a}Ki`)).toBe(plainQuantity(a * 1024))
        expect(plainQuantity(`${a}m`) === plainQuantity(`${b}000u`)).toBe(a === b)
      }),
    )
  })
})
