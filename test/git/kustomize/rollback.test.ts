import { describe, expect, test } from 'vitest'
import type { GitRecorder } from '../../../src/git/record.ts'
import type { SourceRef } from '../../../src/git/source-ref.ts'
import { contentOf, deployment, deploymentRollout, memory, rollback, route, step } from '../deployment-shop.ts'
import { eventually, recorder, resultOf, sourceOf } from '../shop.ts'
import { type Person, remoteWith } from '../workbench.ts'

const rollout = deploymentRollout()
const overlay = 'prod/eu/kustomization.yaml'
const base = {
  'prod/base/kustomization.yaml': 'resources: [d.yaml, vs.yaml]\n',
  'prod/base/d.yaml': deployment('app:1'),
  'prod/base/vs.yaml': route(90, 10),
}
const images = (entry: string) => `resources: [../base]
images:
  # who knows
  - name: other
    newTag: "9"
  - name: app   # the shop
    ${entry}
`

async function done(git: GitRecorder, source: SourceRef, entry: { op: string }) {
  const result = await resultOf(git, source, rollout, entry.op)
  expect(result).toMatchObject({ state: 'Done' })
  return result.state === 'Done' ? result : undefined
}

function changedFiles(person: Person): string[] {
  return person.git('show', '--name-only', '--format=', 'HEAD').trim().split('\n').sort()
}

/** Commits overlays one after the other, then rolls the second content back to the first. */
async function rolledBack(
  versions: { files: Record<string, string>; image: string; template?: (text: string) => string }[],
  path?: string,
) {
  const { remote, person } = await remoteWith({ ...base, ...versions[0]!.files })
  for (const { files } of versions.slice(1)) person.commit('Release', files)
  const [good, bad] = [versions[0]!, versions.at(-1)!].map(({ image, template = (text: string) => text }) =>
    contentOf(template(deployment(image))),
  )
  const git = recorder()
  const source = sourceOf(remote.url, path === undefined ? {} : { path })
  const entry = rollback(bad!, good!)
  git.submit(source, rollout, entry, memory(good!, [bad!]))
  const result = await done(git, source, entry)
  return { person, result, git, source, remote }
}

describe('a rollback of a Deployment that a kustomization makes', () => {
  test.each([
    ['a tag', 'newTag: "1.0"', 'app:1.0', 'newTag: "2.0" # now', 'app:2.0', 'newTag: "1.0" # now'],
    ['a digest', 'digest: sha256:aa', 'app@sha256:aa', 'digest: sha256:bb', 'app@sha256:bb', 'digest: sha256:aa'],
    ['a name', "newName: 'r:5000/app'", 'r:5000/app:1', "newName: 'x/app'", 'x/app:1', "newName: 'r:5000/app'"],
    ['a tag that became a digest', 'newTag: v1', 'app:v1', 'digest: sha256:bb', 'app@sha256:bb', 'newTag: "v1"'],
  ])('puts back %s in images, with the weights and the state, in one commit', async (_name, ...entry) => {
    const [first, firstImage, second, secondImage, restored] = entry
    const { person, result } = await rolledBack([
      { files: { [overlay]: images(first) }, image: firstImage },
      { files: { [overlay]: images(second) }, image: secondImage },
    ])
    expect(result?.note).toBeUndefined()
    expect(person.read(overlay)).toBe(images(restored))
    expect(person.read('prod/base/vs.yaml')).toBe(route(100, 0))
    expect(person.read('prod/base/d.yaml')).toBe(deployment('app:1'))
    expect(person.subjects()).toEqual(['Start', 'Release', 'checkout: roll back'])
    expect(changedFiles(person)).toEqual(
      expect.arrayContaining(['prod/.sluice/shop/checkout.yaml', 'prod/base/vs.yaml', overlay]),
    )
  })

  const patch = (env: string[], image = '1') => `resources: [../base]
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: checkout, namespace: shop }
      spec:
        template:
          spec:
            containers:
              - name: app
                env:   # of this cluster
${env.map((name) => `                  - { name: ${name}, value: "1" }   # ${name}\n`).join('')}images: [{ name: app, newTag: '${image}' }]
`
  const withEnv = (names: string[]) => (text: string) =>
    text.replace(
      'containers:\n        - name:',
      `containers:\n        - env: [${names.map((n) => `{ name: ${n}, value: "1" }`)}]\n          name:`,
    )

  test('puts back a patch that has got other fields, and the tag', async () => {
    const { person, result } = await rolledBack([
      { files: { [overlay]: patch(['A', 'B']) }, image: 'app:1', template: withEnv(['A', 'B']) },
      { files: { [overlay]: patch(['C'], '2') }, image: 'app:2', template: withEnv(['C']) },
    ])
    expect(result?.note).toBeUndefined()
    expect(person.read(overlay)).toBe(patch(['A', 'B']))
  })

  test('in a base that another cluster uses is not written, and the note says why', async () => {
    const shared = {
      'base/kustomization.yaml': 'resources: [d.yaml]\n',
      'us/kustomization.yaml': 'resources: [../base]\n',
    }
    const files = (image: string) => ({
      ...shared,
      'base/d.yaml': deployment(image),
      'eu/kustomization.yaml': 'resources: [../base]\ncommonAnnotations: {a: b}\n',
      'eu/.keep': '',
    })
    const annotated = (text: string) =>
      text.replace('version: stable } }', 'version: stable }, annotations: { a: b } }')
    const { person, result } = await rolledBack(
      [
        { files: files('app:1'), image: 'app:1', template: annotated },
        { files: files('app:2'), image: 'app:2', template: annotated },
      ],
      'eu',
    )
    expect(result?.note).toContain(
      'the pod template was not put back: base/d.yaml:1: is used by several kustomizations: eu/kustomization.yaml and us/kustomization.yaml',
    )
    expect(person.read('base/d.yaml')).toBe(deployment('app:2'))
  })

  test('knows who brought the tag, and that a person has changed a weight in a patch', async () => {
    const weights = (a: number, b: number, tag: string) => `resources: [../base]
patches:
  - target: { kind: VirtualService }
    patch: '[{"op":"replace","path":"/spec/http/0/route/0/weight","value":${a}},{"op":"replace","path":"/spec/http/0/route/1/weight","value":${b}}]'
images: [{ name: app, newTag: '${tag}' }]
`
    const { remote, person } = await remoteWith({ ...base, [overlay]: weights(100, 0, '1') })
    person.commit('Release', { [overlay]: weights(100, 0, '2') })
    person.commit('Other', { 'prod/base/other.yaml': 'a: 1\n' })
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = step(10)
    const [v1, v2] = [contentOf(deployment('app:1')), contentOf(deployment('app:2'))]
    git.submit(source, rollout, first, memory(v1, []))
    await done(git, source, first)
    expect(person.read(overlay)).toBe(weights(90, 10, '2'))
    expect(await eventually(() => git.observe(source, rollout).author)).toBe('Dana <dana@example.com>')
    const theirs = person.commit('More', { [overlay]: weights(40, 60, '2') })
    const next = step(50)
    git.submit(source, rollout, next, memory(v1, [v2]))
    expect(await resultOf(git, source, rollout, next.op)).toMatchObject({
      state: 'Conflict',
      commit: theirs,
      author: 'Dana <dana@example.com>',
      weight: 60,
    })
    expect(person.read(overlay)).toBe(weights(40, 60, '2'))
  })
})
