import { describe, expect, test } from 'vitest'
import { deploymentManifest } from '../../src/git/desired.ts'
import type { TreeRepository } from '../../src/git/listing.ts'
import { openTree } from '../../src/git/tree.ts'
import { deployment } from './deployment-shop.ts'
import { sourceOf } from './shop.ts'

/** Where the template of Deployment shop/checkout can be edited, or why not. */
async function place(files: Record<string, string>): Promise<string> {
  const all: Record<string, string> = { 'prod/base/d.yaml': deployment('registry:5000/app:1'), ...files }
  const repository: TreeRepository = {
    files: async () => Object.keys(all).map((path) => ({ path, sha: path, mode: '100644' })),
    contents: async (shas) => shas.map((sha) => Buffer.from(all[sha]!)),
  }
  const tree = await openTree(repository, 'tip', 'prod')
  const source = sourceOf('https://git.example.com/shop.git')
  const located = await deploymentManifest(tree, source, { namespace: 'shop', name: 'checkout' })
  if (located.state === 'found') return located.manifest.file + (located.manifest.rendered ? ' and others' : '')
  if (located.state === 'missing') return 'missing'
  const { file, line, message } = located.problem
  return `${file}:${line}: ${message}`
}

const base = { 'prod/base/kustomization.yaml': 'resources: [d.yaml]\n' }
const overlay = (text: string) => ({ ...base, 'prod/eu/kustomization.yaml': `resources: [../base]\n${text}` })
const found = 'prod/base/d.yaml'
const refusal = (file: string, why: string) =>
  `${file}: Deployment shop/checkout is not what its manifest prod/base/d.yaml says: the kustomization ${why}`

describe('the file that alone decides about a pod template', () => {
  test.each([
    ['no kustomization', {}],
    ['one that only lists it', base],
    ['an overlay that does other things', overlay('namespace: shop\nreplicas: [{name: checkout, count: 3}]\n')],
    ['images of others', overlay('images: [{name: registry:5000/apple, newTag: "2"}]\n')],
    ['labels of the object alone', overlay('labels: [{pairs: {team: a}}]\n')],
    ['a generator of something else', overlay('configMapGenerator: [{name: other}]\n')],
    [
      'a patch of another',
      overlay('patches: [{target: {kind: Deployment, name: cart}, patch: "- op: remove\\n  path: /spec/template"}]\n'),
    ],
    [
      'a patch beside the template',
      overlay('patches: [{target: {kind: Deployment}, patch: "[{op: replace, path: /spec/replicas, value: 3}]"}]\n'),
    ],
    [
      'a patch file beside the template',
      {
        ...overlay('patches: [{path: p.yaml}]\n'),
        'prod/eu/p.yaml':
          'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: checkout, namespace: shop}\nspec: {replicas: 9}\n',
      },
    ],
    [
      'a kustomization that does not use it',
      { 'prod/eu/kustomization.yaml': 'resources: [x.yaml]\ncommonLabels: {a: b}\n' },
    ],
  ])('is its manifest, with %s', async (_name, files) => expect(await place(files)).toBe(found))

  test.each([
    ['images', overlay('images: [{name: "registry:5000/app", newTag: "2"}]\n')],
    ['labels on templates', overlay('labels: [{pairs: {team: a}, includeTemplates: true}]\n')],
    ['common annotations', overlay('commonAnnotations: {a: b}\n')],
    [
      'a component',
      {
        ...overlay('components: [../c]\n'),
        'prod/c/kustomization.yaml': 'kind: Component\ncommonAnnotations: {a: b}\n',
      },
    ],
    [
      'a patch of operations',
      overlay(
        'patches: [{target: {kind: Deployment, name: check.*}, patch: "[{op: add, path: /spec/template/spec/x, value: 3}]"}]\n',
      ),
    ],
  ])('has a part in it, with %s', async (_name, files) => expect(await place(files)).toBe(`${found} and others`))

  const eu = 'prod/eu/kustomization.yaml'
  test.each([
    ['a component elsewhere', 'components: [../c]\n', 'uses the component ../c, which is not in this repository', 2],
    [
      'a generator that it uses',
      'configMapGenerator: [{name: app}]\n',
      'generates a name that the pod template refers to (configMapGenerator), which Sluice does not render',
      2,
    ],
    [
      'a patch that cannot be found',
      'patches: [{target: {name: checkout}, path: gone.yaml}]\n',
      'names the patch gone.yaml, which is not in this repository',
      2,
    ],
    ['transformers', 'transformers: [t.yaml]\n', 'uses transformers, which Sluice does not render', 2],
    ['replacements', '\nreplacements: [{path: r.yaml}]\n', 'uses replacements, which Sluice does not render', 3],
    [
      'a patch with options',
      'patches: [{target: {kind: Deployment}, patch: "spec: {x: 1}", options: {allowNameChange: true}}]\n',
      'patches it, but the patch uses options',
      2,
    ],
    [
      'labels in fields',
      'labels: [{pairs: {a: b}, fields: [{path: x}]}]\n',
      'sets labels in fields of its own, which Sluice does not render',
      2,
    ],
  ])('cannot be told, with %s', async (_name, text, why, line) =>
    expect(await place(overlay(text))).toBe(refusal(`${eu}:${line}`, why)),
  )

  test('is not one that several overlays share', async () => {
    const shared = { ...overlay(''), 'prod/us/kustomization.yaml': 'bases: [../base]\n' }
    expect(await place(shared)).toBe(
      'prod/base/d.yaml:2: Deployment shop/checkout is used by several kustomizations: prod/eu/kustomization.yaml and prod/us/kustomization.yaml',
    )
  })
})
