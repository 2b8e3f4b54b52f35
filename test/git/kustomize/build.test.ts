import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { build } from '../../../src/git/kustomize/build.ts'
import { plain } from '../../../src/git/traced.ts'
import type { KubeObject } from '../../../src/kube/object.ts'

const cases = join(import.meta.dirname, 'cases')
const kinds = [
  { group: 'apps', kind: 'Deployment' },
  { group: 'networking.istio.io', kind: 'VirtualService' },
  { group: 'sluice.dev', kind: 'Rollout' },
]

/** In each case, `expected.yaml` is what kustomize builds of `eu`: 5.8.1, and 5.5.0 in `every-kind`. */
describe('renders what kustomize renders', () => {
  test.each(readdirSync(cases))('%s', async (name) => {
    const folder = join(cases, name)
    const expected = parseAllDocuments(readFileSync(join(folder, 'expected.yaml'), 'utf8')).map((d) => d.toJS())
    for (const kind of kinds) {
      const { objects, problems } = await build(async (path) => optional(join(folder, path)), 'eu', [kind])
      expect(problems).toEqual([])
      if (name !== 'every-kind') {
        expect(objects.map(({ obstacle }) => obstacle)).toEqual([undefined])
        expect(objects.map(({ object }) => plain(object))).toEqual(expected.filter((o) => o.kind === kind.kind))
      }
    }
  })

  test.each(readdirSync(cases))('%s, all kinds at once', async (name) => {
    const folder = join(cases, name)
    const expected = parseAllDocuments(readFileSync(join(folder, 'expected.yaml'), 'utf8')).map((d) => d.toJS())
    const { objects, problems } = await build(async (path) => optional(join(folder, path)), 'eu', 'All')
    expect(problems).toEqual([])
    expect(objects.map(({ obstacle }) => obstacle).filter(Boolean)).toEqual([])
    const byName = (all: KubeObject[]) =>
      Object.fromEntries(all.map((object) => [`${object.kind} ${object.metadata.name}`, object]))
    expect(byName(objects.map(({ object }) => plain(object) as KubeObject))).toEqual(byName(expected))
  })
})

describe('does not go round in circles, or out of the repository', () => {
  const read = (files: Record<string, string>) => async (path: string) =>
    path in files ? Buffer.from(files[path]!) : undefined

  test.each([
    [
      'itself',
      { 'eu/kustomization.yaml': 'resources: [../us]\n', 'us/kustomization.yaml': 'resources: [../eu]\n' },
      'uses itself',
    ],
    [
      'above it',
      { 'eu/kustomization.yaml': 'resources: [../../x]\n' },
      'names ../../x, which is not in this repository',
    ],
    ['elsewhere', { 'eu/kustomization.yaml': 'resources: ["https://x/y?ref=1"]\n' }, 'which is not in this repository'],
    [
      'nothing',
      { 'eu/kustomization.yaml': '\nresources:\n  - gone.yaml\n' },
      'lists eu/gone.yaml, which does not exist',
    ],
  ])('%s', async (_name, files, message) => {
    const { problems } = await build(read(files), 'eu', [kinds[0]!])
    expect(problems[0]).toMatchObject({ reason: 'GitRefusedEdit', line: expect.any(Number) })
    expect(problems[0]?.message).toContain(message)
  })
})

test('a tower of kustomizations that use each other twice is given up, quickly', async () => {
  const storey = (i: number) => [`k${i}/kustomization.yaml`, `resources: [../k${i + 1}, ../k${i + 1}/.]\n`]
  const files = Object.fromEntries(Array.from({ length: 25 }, (_, i) => storey(i)))
  const { problems } = await build(async (path) => (path in files ? Buffer.from(files[path]!) : undefined), 'k0', [
    kinds[0]!,
  ])
  expect(problems.map(({ message }) => message).join()).toContain('1000 are rendered for one')
})

function optional(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
