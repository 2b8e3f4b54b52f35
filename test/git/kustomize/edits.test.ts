import { describe, expect, test } from 'vitest'
import { rolloutSpec } from '../../../src/api/rollout.ts'
import type { FilesEdit } from '../../../src/git/edit-rendered.ts'
import { editDesired, editWeights, rolloutManifest, routeManifest } from '../../../src/git/owned.ts'
import { rolloutRef, rolloutManifest as rolloutText, sourceOf, virtualService } from '../shop.ts'
import { treeOf } from './memory-tree.ts'

const source = sourceOf('https://git.example.com/shop.git')
const rollout = rolloutRef()
const base = {
  'prod/base/kustomization.yaml': 'resources: [vs.yaml, rollout.yaml]\n',
  'prod/base/vs.yaml': virtualService(100, 0),
  'prod/base/rollout.yaml': rolloutText('v2'),
}
const eu = 'prod/eu/kustomization.yaml'

/** What an edit makes of files: only those that differ; or the refusal. */
async function weigh(
  files: Record<string, string>,
  weight: number,
  path = 'prod',
): Promise<Record<string, string> | string> {
  const tree = await treeOf(files, path)
  const located = await routeManifest(tree, { ...source, path }, rollout)
  if (located.state === 'missing') return 'missing'
  if (located.state === 'refused') return told({ ok: false, problem: located.problem })
  return told(await editWeights(tree, located.manifest, rollout, { stable: 'v1', canary: 'v2', weight }))
}

async function desire(files: Record<string, string>, to: string): Promise<Record<string, string> | string> {
  const tree = await treeOf(files)
  const located = await rolloutManifest(tree, source, rollout)
  if (located.state !== 'found') return located.state
  return told(await editDesired(tree, located.manifest, to))
}

function told(edit: FilesEdit): Record<string, string> | string {
  if (edit.ok) return Object.fromEntries([...edit.changes].map(([file, content]) => [file, content.toString()]))
  const { file, line, message } = edit.problem
  return `${file}:${line}: ${message}`
}

const merge = (weights: [string, string], eol = '\n') =>
  [
    '# the shop in the EU',
    'resources: [../base]',
    'patches:',
    '  - target: { kind: VirtualService }   # all of one',
    '    patch: |-',
    '      apiVersion: networking.istio.io/v1',
    '      kind: VirtualService',
    '      metadata: { name: any }',
    '',
    '      spec:',
    '        http:',
    '          - name: primary  # ours',
    '            route:',
    '              - destination: { host: checkout, subset: v1 }',
    `                weight: ${weights[0]}   # stable`,
    `              - { destination: { host: checkout, subset: v2 }, weight: ${weights[1]} }`,
    'namespace: shop',
    '',
  ].join(eol)

describe('weights that a kustomization decides', () => {
  test('in the base, where no patch has a part in them', async () => {
    const files = { ...base, [eu]: 'resources: [../base]\nnamespace: shop\ncommonLabels: {team: a}\n' }
    expect(await weigh(files, 10)).toEqual({ 'prod/base/vs.yaml': virtualService(90, 10) })
  })

  test.each(['\n', '\r\n'])('in a merge patch that is written into the kustomization', async (eol) => {
    const files = { ...base, [eu]: merge(['"80"', '20'], eol) }
    expect(await weigh(files, 35)).toEqual({ [eu]: merge(['"65"', '35'], eol) })
  })

  test('in the file of a merge patch', async () => {
    const patch = (a: number, b: number) => `${virtualService(a, b).replace('spec:', 'spec: # over the base')}`
    const files = {
      ...base,
      [eu]: 'resources: [../base]\npatches: [{path: vs.yaml}]\n',
      'prod/eu/vs.yaml': patch(50, 50),
    }
    expect(await weigh(files, 0)).toEqual({ 'prod/eu/vs.yaml': patch(100, 0) })
  })

  const operations = (a: number, b: number) =>
    `[\n\t{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": ${a}},\n\t{"op": "replace", "path": "/spec/http/0/route/1/weight", "value": ${b}}\n]`
  const target = '{group: networking.istio.io, version: v1, kind: VirtualService, name: checkout}'

  test('in operations, in a file as in the kustomization, in quotes too', async () => {
    const named = { ...base, [eu]: `resources: [../base]\npatchesJson6902: [{target: ${target}, path: vs.json}]\n` }
    expect(await weigh({ ...named, 'prod/eu/vs.json': operations(70, 30) }, 50)).toEqual({
      'prod/eu/vs.json': operations(50, 50),
    })
    const quoted = (a: number, b: number) =>
      `resources: [../base]\npatches:\n- target: ${target}\n  patch: '${operations(a, b).replaceAll(/[\n\t]/g, '')}' # quoted\n`
    expect(await weigh({ ...base, [eu]: quoted(70, 30) }, 50)).toEqual({ [eu]: quoted(50, 50) })
  })

  test('one in the base, the other in a patch', async () => {
    const text = (b: number) =>
      `resources: [../base]\npatches:\n- target: ${target}\n  patch: |\n    - op: replace\n      path: /spec/http/0/route/1/weight\n      value: ${b} # canary\n`
    expect(await weigh({ ...base, [eu]: text(0) }, 25)).toEqual({
      'prod/base/vs.yaml': virtualService(75, 0),
      [eu]: text(25),
    })
  })

  test('that no text has yet are added where the destination is written', async () => {
    const without = merge(['100', '0']).replace(', weight: 0 }', ' }')
    const edited = await weigh({ ...base, [eu]: without }, 10)
    expect(edited).toEqual({ [eu]: merge(['90', '10']) })
  })

  test('in a base outside the source’s path, used by nobody else', async () => {
    const moved = {
      'base/kustomization.yml': 'resources: [vs.yaml]\n',
      'base/vs.yaml': virtualService(100, 0),
      [eu]: 'resources: [../../base]\nlabels: [{pairs: {a: b}}]\n',
    }
    expect(await weigh(moved, 10)).toEqual({ 'base/vs.yaml': virtualService(90, 10) })
    const us = { 'us/kustomization.yaml': 'resources: [../base]\n' }
    expect(await weigh({ ...moved, ...us }, 10)).toBe(
      'base/vs.yaml:2: VirtualService shop/checkout is used by several kustomizations: prod/eu/kustomization.yaml and us/kustomization.yaml; write the field in a patch or in images of the kustomization in prod/eu',
    )
    // In a patch of this cluster's own, others that use the base do no harm.
    const patched = { ...moved, ...us, [eu]: merge(['80', '20']).replace('../base', '../../base') }
    expect(await weigh(patched, 35)).toEqual({ [eu]: merge(['65', '35']).replace('../base', '../../base') })
  })

  test('in a component that another cluster uses too are not edited', async () => {
    const component = merge(['80', '20'])
      .replace('resources: [../base]', 'kind: Component')
      .replace('namespace: shop\n', '')
    const files = {
      ...base,
      'prod/c/kustomization.yaml': component,
      [eu]: 'resources: [../base]\ncomponents: [../c]\n',
      'prod/us/kustomization.yaml': 'components: [../c]\n',
    }
    expect(await weigh(files, 35)).toContain('prod/c/kustomization.yaml:1: is used by several kustomizations')
  })

  test.each([
    [
      'a folded text',
      merge(['80', '20']).replace('|-', '>-').replaceAll('\n      ', '\n\n      '),
      `${eu}:`,
      'written in a way (folded, or with escapes)',
    ],
    [
      'an alias in the patch',
      merge(['&w 80', '20']).replace('weight: 20', 'weight: *w'),
      `${eu}:15`,
      'spec.http[0].route[0].weight is shared with other fields through an anchor',
    ],
    ['replacements', 'resources: [../base]\nreplacements:\n- path: r.yaml\n', `${eu}:3`, 'uses replacements'],
    [
      'an operation that fails',
      `resources: [../base]\npatches:\n- target: {kind: VirtualService}\n  patch: '[{op: test, path: /spec/hosts, value: [x]}]'\n`,
      `${eu}:3`,
      'has a test of /spec/hosts that fails',
    ],
    ['a plugin', 'resources: [../base]\n# later\ntransformers: [x.yaml]\n', `${eu}:3`, 'uses transformers'],
  ])('are refused with the file, the line and the reason: %s', async (_name, text, place, why) => {
    const said = await weigh({ ...base, [eu]: text }, 35)
    expect(said).toContain(place)
    expect(said).toContain(why)
  })
})

describe('the desired subset that a kustomization decides', () => {
  test('in a merge patch and in an operation', async () => {
    const overlay = (patch: string) => `resources: [../base]\npatches:\n- target: {kind: Rollout}\n  patch: ${patch}\n`
    const operation = (to: string) =>
      overlay(`'[{"op": "replace", "path": "/spec/workload/subsets/desired", "value": "${to}"}]'`)
    expect(await desire({ ...base, [eu]: operation('v3') }, 'v1')).toEqual({ [eu]: operation('v1') })
    const merged = (to: string) =>
      overlay(`|\n    kind: Rollout\n    spec:\n      workload: {subsets: {desired: '${to}'}} # here`)
    expect(await desire({ ...base, [eu]: merged('v3') }, 'v1')).toEqual({ [eu]: merged('v1') })
  })
})

test('two Services as destinations, in a manifest as in a patch', async () => {
  const spec = rolloutSpec.parse({
    workload: { deployment: { name: 'checkout' } },
    traffic: {
      istio: {
        virtualService: { name: 'checkout' },
        services: { stable: 'checkout-stable', canary: 'checkout-canary' },
      },
    },
  })
  const ref = { namespace: 'shop', name: 'checkout', spec }
  const route = (a: number, b: number) =>
    virtualService(a, b)
      .replace('{ host: checkout, subset: v1 }', '{ host: checkout-stable }')
      .replace('{ host: checkout, subset: v2 }', '{ host: checkout-canary.shop.svc.cluster.local }')
  const pair = { stable: 'checkout-stable', canary: 'checkout-canary', weight: 25 }
  const tree = await treeOf({ 'prod/vs.yaml': route(100, 0) })
  const located = await routeManifest(tree, source, ref)
  if (located.state !== 'found') throw new Error(located.state)
  expect(told(await editWeights(tree, located.manifest, ref, pair))).toEqual({ 'prod/vs.yaml': route(75, 25) })
})
