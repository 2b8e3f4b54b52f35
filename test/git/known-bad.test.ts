import { describe, expect, test } from 'vitest'
import { readDeclarations } from '../../src/git/declared.ts'
import { openRepository } from '../../src/git/repository.ts'
import { openTree } from '../../src/git/tree.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { contentOf, deployment, deploymentRollout, memory, rollback, route } from './deployment-shop.ts'
import { moveTo, recorder, resultOf, rolloutRef, shopFiles, sourceOf, stateAt } from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

const path = 'prod/.sluice/known-bad.json'
const at = '2026-11-22T10:00:00Z'

const bad = (name: string, more: object = {}) => ({
  revision: `${name}-hash`,
  name,
  hash: 'hash',
  image: `registry:5000/app:${name}@sha256:ab`,
  reason: 'success-rate 93% < 99.5%',
  at,
  ...more,
})
const stateWith = (...knownBad: StateFile['knownBad']): StateFile => ({ ...stateAt(0), knownBad })

describe('the list of known-bad versions', () => {
  test('comes with the rollback, in the same commit, with every image that was changed', async () => {
    const two = (app: string, side: string) =>
      deployment(app).replace(
        '  selector:',
        `        - { name: side, image: "${side}" }\n        - { name: log, image: log:1 }\n  selector:`,
      )
    const { remote, person } = await remoteWith({ 'prod/d.yaml': two('r/app:1', 's:1'), 'prod/vs.yaml': route(90, 10) })
    person.commit('Release', { 'prod/d.yaml': two('r/app:2', 's:2') })
    const [v1, v2] = [contentOf(two('r/app:1', 's:1')), contentOf(two('r/app:2', 's:2'))]
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback(v2, v1)
    const state = memory(v1, [v2])
    git.submit(source, deploymentRollout(), entry, {
      ...state,
      knownBad: state.knownBad.map((b) => ({ ...b, image: 'r/app:2' })),
    })
    expect(await resultOf(git, source, deploymentRollout(), entry.op)).toMatchObject({ state: 'Done' })
    const files = person.git('--git-dir', remote.dir, 'show', '--name-only', '--format=', 'main').trim().split('\n')
    expect(files).toEqual([path, 'prod/.sluice/shop/checkout.yaml', 'prod/d.yaml', 'prod/vs.yaml'])
    expect(JSON.parse(person.read(path))).toEqual({
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'KnownBad',
      metadata: { name: 'known-bad', annotations: { 'config.kubernetes.io/local-config': 'true' } },
      knownBad: [
        {
          rollout: 'shop/checkout',
          revision: v2.revision,
          image: 'r/app:2',
          repository: 'r/app',
          tag: '2',
          images: ['r/app:2', 's:2'],
          reason: 'success-rate',
          since: at,
        },
      ],
    })
  })

  test('holds many Rollouts of one push in a stable order, and lets go of what was cleared, deleted or is gone', async () => {
    const names = ['checkout', 'cart', 'basket', 'till']
    const { remote, person } = await remoteWith(Object.assign({}, ...names.map((name) => shopFiles(name))))
    const git = recorder()
    const source = sourceOf(remote.url)
    async function commit(name: string, state: StateFile, more: Parameters<typeof moveTo>[1] = {}) {
      const entry = moveTo(state.step?.weight ?? 0, { subject: name, ...more })
      git.submit(source, rolloutRef(name), entry, state)
      return () => resultOf(git, source, rolloutRef(name), entry.op)
    }
    const revisions = () =>
      (JSON.parse(person.read(path)).knownBad as { rollout: string; revision: string }[]).map(
        (e) => `${e.rollout} ${e.revision}`,
      )
    const waits = await Promise.all(names.map((name) => commit(name, stateWith(bad('v2')))))
    for (const wait of waits) expect(await wait()).toMatchObject({ state: 'Done' })
    expect(revisions()).toEqual([
      'shop/basket v2-hash',
      'shop/cart v2-hash',
      'shop/checkout v2-hash',
      'shop/till v2-hash',
    ])
    expect(JSON.parse(person.read(path)).knownBad[0]).toEqual({
      rollout: 'shop/basket',
      revision: 'v2-hash',
      subset: 'v2',
      image: 'registry:5000/app:v2@sha256:ab',
      repository: 'registry:5000/app',
      tag: 'v2',
      digest: 'sha256:ab',
      reason: 'success-rate 93% < 99.5%',
      since: at,
    })
    person.git('rm', '--quiet', 'prod/.sluice/shop/till.yaml')
    person.git('commit', '--quiet', '-m', 'Forget')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
    await (await commit('cart', stateWith(), { kind: 'retry' }))()
    await (await commit('basket', stateWith(bad('v2')), { kind: 'delete' }))()
    await (await commit('checkout', stateWith(bad('v2'), bad('v3', { at: '2026-11-23T10:00:00Z' }))))()
    expect(revisions()).toEqual(['shop/checkout v2-hash', 'shop/checkout v3-hash'])
  })

  test('that somebody has spoilt is made anew of the state files', async () => {
    const { remote, person } = await remoteWith({ ...shopFiles(), ...shopFiles('cart') })
    const git = recorder()
    const source = sourceOf(remote.url)
    for (const name of ['checkout', 'cart']) {
      const entry = moveTo(0)
      git.submit(source, rolloutRef(name), entry, stateWith(bad('v2')))
      await resultOf(git, source, rolloutRef(name), entry.op)
    }
    const whole = person.read(path)
    person.commit('Oops', { [path]: '{ "knownBad": [' })
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateWith(bad('v2')))
    await resultOf(git, source, rolloutRef(), entry.op)
    const [cart, ...rest] = JSON.parse(whole).knownBad
    const { subset: _unknown, ...others } = cart
    expect(JSON.parse(person.read(path)).knownBad).toEqual([others, ...rest])
  })

  test('is not there while nothing is known to be bad, and is no manifest', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = moveTo(10)
    git.submit(source, rolloutRef(), first, stateWith())
    await resultOf(git, source, rolloutRef(), first.op)
    expect(person.read(path)).toBe('')
    const second = moveTo(0)
    git.submit(source, rolloutRef(), second, stateWith(bad('v2')))
    await resultOf(git, source, rolloutRef(), second.op)
    const repository = openRepository({ workDir: temporaryFolder(), url: remote.fileUrl, runtime: systemRuntime })
    const fetched = await repository.fetch('main')
    if (!fetched.ok) throw new Error(fetched.problem.message)
    const tree = await openTree(repository, fetched.tip, 'prod')
    const { objects, errors } = await readDeclarations(tree, repository, 'prod', 'All')
    expect(errors).toEqual([])
    expect(objects.map(({ object }) => object.kind).sort()).toEqual(['Rollout', 'VirtualService'])
  })
})
