import { expect, onTestFinished, test } from 'vitest'
import { createBranches } from '../../src/git/branch.ts'
import { createForges } from '../../src/git/forge/find.ts'
import { createGitRecorder } from '../../src/git/record.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import { forgeWith } from './forge/bench.ts'
import { eventually, hasty, moveTo, resultOf, rolloutRef, shopFiles, stateAt, virtualService } from './shop.ts'
import { temporaryFolder } from './workbench.ts'

const names = ['cart', 'checkout'] as const

/** A rollback that adds to the list of known-bad versions, which all Rollouts of a source share. */
const bad = (name: string): StateFile => ({
  ...stateAt(0),
  knownBad: [{ revision: `v2-${name}`, name: 'v2', hash: 'bbb', reason: 'Breach', at: '2026-11-22T10:00:00Z' }],
})

test.each(['merge', 'squash'] as const)(
  'of two Rollouts that roll back at once, one is merged (%s), and the other is built anew on it, without losing a version',
  async (method) => {
    const at = await forgeWith('GitHub', { ...shopFiles('cart'), ...shopFiles('checkout') })
    const git = createGitRecorder({
      branches: createBranches({ workDir: temporaryFolder(), runtime: hasty }),
      forges: createForges({ runtime: hasty }),
      runtime: hasty,
      identity: { cluster: 'prod-eu', takeOver: false },
      onError: (error) => {
        throw error
      },
    })
    onTestFinished(() => git.stop())
    const entries = names.map((name) => ({
      rollout: rolloutRef(name),
      entry: moveTo(0, { kind: 'rollback', subject: `${name}: roll back v2 → v1 (shop)` }),
    }))
    for (const { rollout, entry } of entries) git.submit(at.source, rollout, entry, bad(rollout.name))
    for (const { rollout, entry } of entries) {
      await resultOf(git, at.source, rollout, entry.op, (r) => r.state === 'Waiting' && r.proposed !== undefined)
    }
    expect(at.fake.open()).toHaveLength(2)
    const pullOf = (name: string) => at.fake.open().find(({ title }) => title.startsWith(`${name}:`))!
    const listed = (ref: string) => {
      at.person.git('fetch', '--quiet', 'origin')
      const text = at.person.git('show', `origin/${ref}:prod/.sluice/known-bad.json`)
      return JSON.parse(text).knownBad.map(({ rollout }: { rollout: string }) => rollout)
    }
    const done = async ({ rollout, entry }: (typeof entries)[number]) =>
      await eventually(() => {
        git.look(at.source)
        const result = git.observe(at.source, rollout).results[entry.op]
        return result && result.state !== 'Waiting' ? result : undefined
      })
    expect(listed(pullOf('checkout').branch)).toEqual(['shop/checkout'])

    const { number } = pullOf('checkout')
    const tip = at.fake.merge(pullOf('cart').number, 'dana', method)
    expect(await done(entries[0]!)).toMatchObject({ state: 'Done' })
    await eventually(() => (listed(pullOf('checkout').branch).length === 2 ? true : undefined))
    expect(pullOf('checkout').number).toBe(number)
    expect(at.person.git('merge-base', '--is-ancestor', tip, `origin/${pullOf('checkout').branch}`)).toBe('')

    at.fake.merge(number, 'dana', method)
    expect(await done(entries[1]!)).toMatchObject({ state: 'Done' })
    expect(listed('main')).toEqual(['shop/cart', 'shop/checkout'])
    for (const name of names) expect(at.person.read(`prod/${name}-vs.yaml`)).toBe(virtualService(100, 0, name))
    expect(at.fake.pulls).toHaveLength(2)
  },
)
