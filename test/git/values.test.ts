import { describe, expect, test } from 'vitest'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { RolloutRef } from '../../src/git/owned.ts'
import { parseValuePath } from '../../src/git/value-path.ts'
import { imagesInValues } from '../../src/git/values.ts'
import { memory, rollback, step } from './deployment-shop.ts'
import { eventually, moveTo, recorder, resultOf, rolloutManifest, sourceOf, stateAt } from './shop.ts'
import { remoteWith } from './workbench.ts'

describe('a path into values', () => {
  test.each([
    ['image.tag', ['image', 'tag']],
    ['apps[0]["my.app"].tag', ['apps', 0, 'my.app', 'tag']],
    ["['a b'][12]", ['a b', 12]],
    ['spec.values.image-tag', ['spec', 'values', 'image-tag']],
  ])('%s', (text, path) => expect(parseValuePath(text)).toEqual(path))

  test.each(['', 'a..b', 'a[x]', 'a b', 'a[0', '"a"', 'a.'])('%s is none', (text) =>
    expect(parseValuePath(text)).toBeUndefined(),
  )
})

async function refusal(files: Record<string, string>, path = 'image.tag', file = 'values.yaml'): Promise<string> {
  const read = async (name: string) => (name in files ? Buffer.from(files[name]!) : undefined)
  const located = await imagesInValues(read, 'prod', [{ container: 'app', file, path, form: 'Tag' }])
  if (located.state !== 'refused') return located.state
  const { file: at, line, message } = located.problem
  return `${at}:${line ?? ''}: ${message}`
}

describe('values that cannot be read are refused with file, line and reason', () => {
  const values = 'prod/values.yaml'
  test.each([
    ['no file', {}, 'prod/values.yaml:: is named in spec.source.values, and is not in the repository'],
    [
      'no key',
      { [values]: '# c\nimage:\n  name: x\n' },
      'prod/values.yaml:3: has no image.tag: image at line 3 has no tag',
    ],
    ['nothing of it', { [values]: 'a: 1\n' }, 'prod/values.yaml:1: has no image.tag: it has no image'],
    ['a mapping', { [values]: 'image:\n  tag: {a: 1}\n' }, 'prod/values.yaml:2: has no scalar at image.tag'],
    [
      'a boolean',
      { [values]: 'image:\n  tag: on\n' },
      'prod/values.yaml:2: has true at image.tag, which is neither text nor number',
    ],
    [
      'a template',
      { [values]: 'a: 1\nimage: {{ .x }}\n' },
      'prod/values.yaml:2: is a template ({{ … }}), not a manifest',
    ],
    [
      'two documents that have it',
      { [values]: 'image: {tag: a}\n---\nb: 1\n---\nimage:\n  tag: b\n' },
      'prod/values.yaml:1: has image.tag in several documents, at lines 1 and 6',
    ],
    ['no YAML', { [values]: 'image: [\n' }, 'prod/values.yaml:'],
  ])('%s', async (_name, files, message) => expect(await refusal(files)).toContain(message))

  const application = (helm: string) =>
    `apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: { name: a }\nspec:\n  source:\n    helm:\n${helm}`
  test.each([
    ['a block of text', '      values: |\n        image:\n          tag: a\n'],
    ['a folded text', '      values: >-\n        image: { tag: a }\n'],
    ['a text in quotes', '      values: "image: {tag: a}"\n'],
  ])('values in %s of an Application, with the way out', async (_name, helm) => {
    expect(await refusal({ [values]: application(helm) }, 'spec.source.helm.values.image.tag')).toBe(
      'prod/values.yaml:7: has no spec.source.helm.values.image.tag: spec.source.helm.values at line 7 is a text, and nothing inside of a text is edited; write the values as YAML (valuesObject of an Application, values of a HelmRelease) or in a file of their own',
    )
    const object = application('      valuesObject:\n        image:\n          tag: a\n')
    expect(await refusal({ [values]: object }, 'spec.source.helm.valuesObject.image.tag')).toBe('found')
  })

  test('one of several documents that has it', async () => {
    expect(await refusal({ [values]: 'a: 1\n---\nimage: {tag: a}\n' })).toBe('found')
  })
})

const deploymentIn = (values: object): RolloutRef => {
  const spec = rolloutSpec.parse({
    workload: { deployment: { name: 'checkout' } },
    traffic: { istio: { virtualService: { name: 'checkout', routes: ['primary', 'other'] } } },
    source: { name: 'shop-config', values },
  })
  return { namespace: 'shop', name: 'checkout', spec }
}

const content = (image: string) => {
  const name = image.replace(/^.*:/, '')
  return { revision: `${name}-${name}hash`, name, hash: `${name}hash`, image }
}

const helmRelease = (tag: string, side: string, weights: [number, number]) => `# Flux renders it
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: { name: checkout }
spec:
  values:
    image:
      repository: registry/app
      tag: "${tag}"     # the app
    sidecars: [ { name: side, image: registry/side:${side} } ]
    weights: { stable: ${weights[0]}, canary: ${weights[1]} }   # Sluice's
`

describe('a Deployment that a chart renders', () => {
  const values = {
    images: [
      { container: 'app', file: 'release.yaml', path: 'spec.values.image.tag' },
      { container: 'side', file: 'release.yaml', path: 'spec.values.sidecars[0].image', form: 'Image' },
    ],
    weights: { file: 'release.yaml', stable: 'spec.values.weights.stable', canary: 'spec.values.weights.canary' },
  }
  const rollout = deploymentIn(values)
  const file = 'prod/release.yaml'
  const [v1, v2] = [content('registry/app:1.10'), content('registry/app:1.20')]

  test('has its weights and images edited in its values, and put back in one commit', async () => {
    const { remote, person } = await remoteWith({ [file]: helmRelease('1.10', 'a', [100, 0]) })
    person.commit('Release', { [file]: helmRelease('1.20', 'b', [100, 0]) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const up = step(10)
    git.submit(source, rollout, up, memory(v1))
    expect(await resultOf(git, source, rollout, up.op)).toMatchObject({ state: 'Done' })
    expect(person.read(file)).toBe(helmRelease('1.20', 'b', [90, 10]))
    expect(await eventually(() => git.observe(source, rollout).author)).toBe('Dana <dana@example.com>')
    const back = rollback(v2, v1)
    git.submit(source, rollout, back, memory(v1, [v2]))
    expect(await resultOf(git, source, rollout, back.op)).toMatchObject({
      state: 'Done',
      note: 'the images were put back; what is rendered with them could not be compared',
    })
    expect(person.read(file)).toBe(helmRelease('1.10', 'a', [100, 0]))
    expect(person.subjects()).toHaveLength(4)
    expect(person.read('prod/.sluice/shop/checkout.yaml')).toContain('image: registry/app:1.20')
  })

  test('that a person has changed meanwhile is left alone, and a changed weight is a conflict', async () => {
    const { remote, person } = await remoteWith({ [file]: helmRelease('1.10', 'a', [100, 0]) })
    person.commit('Release', { [file]: helmRelease('1.20', 'b', [100, 0]) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const up = step(10)
    git.submit(source, rollout, up, memory(v1))
    await resultOf(git, source, rollout, up.op)
    person.commit('Next', { [file]: helmRelease('1.30', 'b', [90, 10]) })
    const back = rollback(v2, v1)
    git.submit(source, rollout, back, memory(v1, [v2]))
    expect(await resultOf(git, source, rollout, back.op)).toMatchObject({
      state: 'Done',
      note: `1.30 at ${file}:9 is not, or no more, the image of ${v2.revision}, so it was left alone`,
    })
    expect(person.read(file)).toBe(helmRelease('1.30', 'b', [100, 0]))
    const theirs = person.commit('Mine', { [file]: helmRelease('1.30', 'b', [30, 70]) })
    const next = step(50)
    git.submit(source, rollout, next, memory(v1, [v2]))
    expect(await resultOf(git, source, rollout, next.op)).toMatchObject({
      state: 'Conflict',
      commit: theirs,
      weight: 70,
    })
  })

  test('whose values no commit has any more gets the tag that stable is known by, where there is one image', async () => {
    const one = deploymentIn({ images: [values.images[0]] })
    const { remote, person } = await remoteWith({ [file]: helmRelease('1.20', 'b', [100, 0]) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const back = rollback(v2, v1, { weights: undefined })
    git.submit(source, one, back, memory(v1, [v2]))
    expect(await resultOf(git, source, one, back.op)).toMatchObject({ state: 'Done' })
    expect(person.read(file)).toBe(helmRelease('1.10', 'b', [100, 0]))
  })
})

describe('subsets whose desired version is in values', () => {
  const spec = (values: object) =>
    rolloutSpec.parse({
      workload: { subsets: { desired: 'v2' } },
      traffic: { istio: { virtualService: { name: 'checkout' } } },
      source: { name: 'shop-config', values },
    })
  const values = (desired: string) => `version: &v ${desired} # to be\ncopy: 1\n`

  test('are rolled back there, and not in the manifest that is there too', async () => {
    const { remote, person } = await remoteWith({
      'prod/values.yaml': values('v2'),
      'prod/checkout.yaml': rolloutManifest('v2'),
    })
    const rollout = {
      namespace: 'shop',
      name: 'checkout',
      spec: spec({ desired: { file: 'values.yaml', path: 'version' } }),
    }
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(0, { weights: undefined, kind: 'rollback', desired: { from: 'v2', to: 'v1' } })
    git.submit(source, rollout, entry, stateAt(0))
    expect(await resultOf(git, source, rollout, entry.op)).toMatchObject({ state: 'Done' })
    expect(person.read('prod/values.yaml')).toBe(values('v1'))
    expect(person.read('prod/checkout.yaml')).toBe(rolloutManifest('v2'))
  })
})
