import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PendingCommit } from '../../src/api/status.ts'
import { createBranches } from '../../src/git/branch.ts'
import { createForges } from '../../src/git/forge/find.ts'
import { createGitRecorder, type GitRecorder } from '../../src/git/record.ts'
import { withNewest } from '../../src/plan/owed.ts'
import { forgeWith } from './forge/bench.ts'
import type { MergeMethod } from './forge/fake-forge.ts'
import { eventually, hasty, moveTo, rolloutRef, shopFiles, stateAt } from './shop.ts'
import { temporaryFolder } from './workbench.ts'

type Step =
  | { do: 'outcome'; weight: number }
  | { do: 'merge'; method: MergeMethod }
  | { do: 'close' }
  | { do: 'theirs'; same: boolean }
  | { do: 'die' }
  | { do: 'outage'; lose: number }
  | { do: 'pause'; ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('outcome' as const), weight: fc.constantFrom(0, 50, 100) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('merge' as const),
      method: fc.constantFrom<MergeMethod>('merge', 'squash', 'rebase'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('theirs' as const), same: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), lose: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 400 }) }) },
)

test('whatever people do with pull requests and whoever dies: every outcome is merged or declined, once, with at most one open, and nobody’s commit is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 12 }), async (steps) => {
      const at = await forgeWith('GitHub', { ...shopFiles(), 'prod/notes.txt': '' })
      const workDir = temporaryFolder()
      const rollout = rolloutRef()
      const start = () =>
        createGitRecorder({
          branches: createBranches({ workDir, runtime: hasty }),
          forges: createForges({ runtime: hasty }),
          runtime: hasty,
          identity: { cluster: 'prod-eu', takeOver: false },
        })
      let git: GitRecorder = start()
      // What status remembers, and how the plan keeps it.
      let pending: PendingCommit[] = []
      const ends = new Map<string, 'Done' | 'Declined'>()
      const theirs: string[] = []
      const absorb = () => {
        const { results } = git.observe(at.source, rollout)
        pending = pending.filter(({ op }) => {
          const result = results[op]
          const declined = result?.state === 'Refused' && result.problem.reason === 'PullRequestDeclined'
          if (result?.state === 'Refused' && !declined) throw new Error(JSON.stringify(result))
          const end = result?.state === 'Done' ? 'Done' : declined ? 'Declined' : undefined
          if (end) expect(ends.get(op) ?? end).toBe(end)
          if (end) ends.set(op, end)
          return end === undefined
        })
      }
      const submit = () => {
        for (const entry of pending) git.submit(at.source, rollout, entry, stateAt(entry.weights?.weight ?? 0))
        git.look(at.source)
      }
      let second = 0
      for (const s of steps) {
        absorb()
        if (s.do === 'outcome') {
          second += 1
          const time = new Date(Date.UTC(2026, 10, 22, 10, 0, second)).toISOString()
          pending = withNewest(pending, moveTo(s.weight, { kind: 'promote', at: time, subject: `outcome ${second}` }))
          submit()
        } else if (s.do === 'merge' || s.do === 'close') {
          const [pull] = at.fake.open()
          try {
            if (pull && s.do === 'merge') at.fake.merge(pull.number, 'dana', s.method)
            if (pull && s.do === 'close') at.fake.close(pull.number, 'robin')
          } catch (error) {
            // It conflicts with main, as people see it too: nothing was merged.
            if (!/merge-tree|cherry-pick/.test(String(error))) throw error
            at.person.git('version')
          }
        } else if (s.do === 'theirs') {
          const file = s.same ? 'prod/.sluice-not.txt' : 'prod/notes.txt'
          theirs.push(at.person.commit(`theirs ${theirs.length}`, { [file]: `${theirs.length}\n` }))
        } else if (s.do === 'die') {
          await git.stop()
          git = start()
          submit()
        } else if (s.do === 'outage') {
          at.fake.faults.down = true
          at.fake.faults.loseAnswers = s.lose
          await hasty.sleep(40)
          at.fake.faults.down = false
        } else await hasty.sleep(s.ms)
      }
      await eventually(() => {
        absorb()
        submit()
        const [pull, ...more] = at.fake.open()
        if (pending.length === 0) return true
        if (pull && more.length === 0) at.fake.merge(pull.number, 'dana', 'merge')
        return undefined
      }, 30_000)
      await git.stop()
      expect(at.fake.open().length).toBeLessThanOrEqual(1)
      expect(ends.size).toBe(second)
      const log = `${at.person.read('prod/notes.txt')}${at.person.git('log', '--format=%H%n%B')}`
      for (const sha of theirs) expect(log).toContain(sha)
      for (const [op, end] of ends) if (end === 'Declined') expect(log).not.toContain(`Rollout-Op: ${op}`)
    }),
    { numRuns: 2, endOnFailure: true },
  )
}, 180_000)
