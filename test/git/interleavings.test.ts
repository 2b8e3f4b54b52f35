import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PendingCommit } from '../../src/api/status.ts'
import type { GitRecorder } from '../../src/git/record.ts'
import { hasty, moveTo, recorder, resultOf, rolloutRef, shopFiles, sourceOf, stateAt, virtualService } from './shop.ts'
import { personAt, remoteWith, temporaryFolder } from './workbench.ts'

const apps = ['checkout', 'cart', 'search']

type Step =
  | { do: 'submit'; app: number; count: number; lose: boolean }
  | { do: 'theirs'; file: number }
  | { do: 'crash' }
  | { do: 'outage' }
  | { do: 'pause'; ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      app: fc.nat(2),
      count: fc.integer({ min: 1, max: 3 }),
      lose: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('theirs' as const), file: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
)

test('whatever pushes, outages and crashes come between: every operation once and in order, nobody’s commit lost, no other byte changed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 16 }), async (steps) => {
      const { remote, person } = await remoteWith(Object.assign({}, ...apps.map((app) => shopFiles(app))))
      const source = sourceOf(remote.url)
      const workDir = temporaryFolder()
      // What status remembers: operations that are not known to be done survive every crash.
      const pending = new Map<string, { app: string; entry: PendingCommit }>()
      const submitted: { app: string; op: string; weight: number }[] = []
      const theirs: string[] = []
      let git: GitRecorder = recorder({ workDir })
      const submit = ({ app, entry }: { app: string; entry: PendingCommit }) =>
        git.submit(source, rolloutRef(app), entry, stateAt(entry.weights!.weight))

      for (const s of steps) {
        if (s.do === 'submit') {
          const app = apps[s.app]!
          if (s.lose) remote.faults.loseAnswers = 1
          for (let i = 0; i < s.count; i++) {
            const weight = 1 + ((submitted.length * 13) % 99)
            const entry = moveTo(weight, { subject: `${app} ${weight}` })
            submitted.push({ app, op: entry.op, weight })
            pending.set(entry.op, { app, entry })
            submit({ app, entry })
          }
        } else if (s.do === 'theirs') {
          theirs.push(
            person.commit(`theirs ${theirs.length}`, { [`prod/other-${s.file}.txt`]: `${theirs.length}\r\n` }),
          )
        } else if (s.do === 'crash') {
          await git.stop()
          git = recorder({ workDir })
          for (const job of pending.values()) submit(job)
        } else if (s.do === 'outage') {
          remote.faults.down = true
          await hasty.sleep(30)
          remote.faults.down = false
        } else {
          await hasty.sleep(s.ms)
        }
      }
      for (const [op, { app }] of pending) {
        const result = await resultOf(git, source, rolloutRef(app), op, (r) => r.state === 'Done')
        expect(result.state).toBe('Done')
      }
      await git.stop()

      const log =
        person.read('prod/cart.yaml') &&
        person.git('log', '--reverse', '--format=%H %(trailers:key=Rollout-Op,valueonly,separator=)')
      const lines = log.trim().split('\n')
      for (const app of apps) {
        const wanted = submitted.filter((o) => o.app === app).map((o) => o.op)
        const found = lines.map((line) => line.split(' ')[1]).filter((op) => op !== undefined && wanted.includes(op))
        expect(found).toEqual(wanted)
        const last = submitted.findLast((o) => o.app === app)
        const weight = last?.weight ?? 0
        expect(person.read(`prod/${app}-vs.yaml`)).toBe(virtualService(100 - weight, weight, app))
      }
      for (const sha of theirs) expect(log).toContain(sha)
      expect(person.git('log', '--merges', '--format=%H')).toBe('')
    }),
    { numRuns: 4, endOnFailure: true },
  )
}, 120_000)

test('ten people pushing at once lose nothing, and neither do we', async () => {
  const { remote, person, dir } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url)
  const entries = [10, 30, 50].map((weight) => moveTo(weight))
  const people = Array.from({ length: 10 }, (_, i) => personAt(`${dir}/p${i}`, remote.dir, `P${i}`))
  for (const entry of entries) git.submit(source, rolloutRef(), entry, stateAt(entry.weights!.weight))
  for (const [i, somebody] of people.entries()) {
    somebody.commit(`theirs ${i}`, { [`their-${i}.txt`]: String(i) })
    await hasty.sleep(10)
  }
  for (const { op } of entries) await resultOf(git, source, rolloutRef(), op, (r) => r.state === 'Done')
  const subjects = person.subjects()
  expect(subjects.filter((s) => s.startsWith('theirs'))).toHaveLength(10)
  expect(subjects.filter((s) => s.startsWith('checkout'))).toEqual(entries.map((e) => e.subject))
  expect(person.git('log', '--merges', '--format=%H')).toBe('')
})
