import { describe, expect, test } from 'vitest'
import { locateManifest } from '../../src/git/locate.ts'
import { openRepository } from '../../src/git/repository.ts'
import { openTree } from '../../src/git/tree.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { shopFiles, virtualService } from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

const ref = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'shop', name: 'checkout' }
const vs = virtualService(100, 0)
const unnamed = vs.replace('  namespace: shop\n', '')

async function treeWith(files: Record<string, string>) {
  const { remote } = await remoteWith(files)
  const repository = openRepository({ workDir: temporaryFolder(), url: remote.fileUrl, runtime: systemRuntime })
  const fetched = await repository.fetch('main')
  if (!fetched.ok) throw new Error(fetched.problem.message)
  return openTree(repository, fetched.tip, 'prod')
}

async function locate(files: Record<string, string>, rule = { fallback: 'delivery', anyNamespace: false }) {
  const located = await locateManifest(await treeWith(files), ref, rule)
  if (located.state === 'found') return `${located.manifest.file}:${located.manifest.line}`
  return located.state === 'refused' ? located.problem.message : located.state
}

describe('the manifest of an object', () => {
  test('is found among others, in whatever file and document', async () => {
    expect(await locate({ ...shopFiles(), 'prod/other.yaml': vs.replace('namespace: shop', 'namespace: cart') })).toBe(
      'prod/checkout-vs.yaml:2',
    )
    expect(await locate({ 'prod/all.yaml': `a: 1\n---\n${vs}` })).toBe('prod/all.yaml:4')
    expect(await locate({ 'prod/x.yaml': vs.replace('networking.istio.io', 'example.com') })).toBe('missing')
    expect(await locate({ 'elsewhere/x.yaml': vs, 'prod/y.yaml': 'a: 1' })).toBe('missing')
  })

  test('is in the namespace of its kustomization, else its own, else the source’s', async () => {
    expect(await locate({ 'prod/vs.yaml': unnamed })).toBe('missing')
    expect(await locate({ 'prod/vs.yaml': unnamed }, { fallback: 'shop', anyNamespace: false })).toBe('prod/vs.yaml:2')
    expect(await locate({ 'prod/vs.yaml': unnamed }, { fallback: 'delivery', anyNamespace: true })).toBe(
      'prod/vs.yaml:2',
    )
    expect(await locate({ 'prod/vs.yaml': unnamed, 'prod/kustomization.yaml': 'namespace: shop' })).toBe(
      'prod/vs.yaml:2',
    )
    expect(await locate({ 'prod/vs.yaml': vs, 'prod/kustomization.yaml': 'namespace: other' })).toBe('missing')
  })

  test('that is declared twice is refused, naming the places', async () => {
    expect(await locate({ 'prod/a.yaml': vs, 'prod/b.yaml': vs })).toContain('prod/a.yaml:2 and prod/b.yaml:2')
  })

  test('has the name and namespace that its kustomizations give it', async () => {
    const overlay = (text: string) => ({
      'prod/base/vs.yaml': unnamed.replace('name: checkout', 'name: out'),
      'prod/base/kustomization.yaml': 'resources: [vs.yaml]\nnamePrefix: check\n',
      'prod/eu/kustomization.yaml': `resources: [../base]\n${text}`,
    })
    expect(await locate(overlay('namespace: shop'))).toBe('prod/base/vs.yaml:2')
    expect(await locate(overlay('namespace: other'))).toBe('missing')
    expect(await locate(overlay('namespace: shop\nnameSuffix: -eu'))).toBe('missing')
    const shared = {
      'prod/base/vs.yaml': unnamed,
      'prod/base/kustomization.yaml': 'resources: [vs.yaml]\n',
      'prod/eu/kustomization.yaml': 'resources: [../base]\nnamespace: shop\n',
      'prod/us/kustomization.yaml': 'resources: [../base]\nnamespace: us\n',
    }
    expect(await locate(shared)).toContain(
      'used by several kustomizations: prod/eu/kustomization.yaml and prod/us/kustomization.yaml; write the field in a patch or in images of the kustomization in prod/eu',
    )
  })
})

test('changes that are not committed are seen, and only their files are replaced', async () => {
  const tree = await treeWith({ ...shopFiles(), ...shopFiles('cart') })
  const changed = tree.with(new Map([['prod/checkout-vs.yaml', Buffer.from(virtualService(90, 10))]]))
  const again = changed.with(new Map([['prod/new.yaml', Buffer.from(virtualService(1, 99, 'new'))]]))
  const weight = async (name: string) =>
    JSON.stringify((await again.declared('VirtualService', name))[0]?.object.spec).match(/"weight":\d+/)?.[0]
  expect([await weight('checkout'), await weight('cart'), await weight('new')]).toEqual([
    '"weight":90',
    '"weight":100',
    '"weight":1',
  ])
  expect((await again.read('prod/checkout-vs.yaml'))?.toString()).toBe(virtualService(90, 10))
  expect(await tree.declared('VirtualService', 'new')).toEqual([])
})
