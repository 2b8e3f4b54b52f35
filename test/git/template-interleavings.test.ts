import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PendingCommit } from '../../src/api/status.ts'
import type { GitRecorder } from '../../src/git/record.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import { type Content, contentOf, deployment, deploymentRollout, memory, rollback, route } from './deployment-shop.ts'
import { hasty, recorder, resultOf, sourceOf } from './shop.ts'
import { type Person, remoteWith, temporaryFolder } from './workbench.ts'

type Step =
  | { do: 'release'; version: number }
  | { do: 'rollback'; lose: boolean }
  | { do: 'scale' }
  | { do: 'crash' }
  | { do: 'outage' }
  | { do: 'settle' }
  | { do: 'pause'; ms: number }

const plain = fc.constantFrom<Step>({ do: 'scale' }, { do: 'crash' }, { do: 'outage' }, { do: 'settle' })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), version: fc.integer({ min: 2, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('rollback' as const), lose: fc.boolean() }) },
  { weight: 5, arbitrary: plain },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 80 }) }) },
)

const file = 'prod/deployment.yaml'
const rollout = deploymentRollout()
const good = { image: 'app:1', note: 'as it was' }
const v1 = contentOf(deployment(good.image))

/** Edits one line of whatever is at the tip, as often as somebody else was faster. */
function scale(person: Person, replicas: number): void {
  for (let attempt = 0; ; attempt++) {
    const edited = person.read(file).replace(/replicas: \d+/, `replicas: ${replicas}`)
    person.write({ [file]: edited })
    person.git('commit', '--quiet', '-a', '-m', `${replicas} pods`)
    try {
      person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
      return
    } catch (error) {
      if (attempt > 20) throw error
    }
  }
}

test('whatever releases, crashes and outages come between: templates go back byte for byte, nobody’s is overrun, and each operation is one commit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 14 }), async (steps) => {
      const { remote, person } = await remoteWith({
        [file]: deployment(good.image, { note: good.note }),
        'prod/vs.yaml': route(90, 10),
      })
      const source = sourceOf(remote.url)
      const workDir = temporaryFolder()
      let git: GitRecorder = recorder({ workDir })
      let replicas = 2
      /** What people wanted last, and whether a rollback of exactly that was asked for since. */
      let wanted = { image: good.image, note: good.note }
      let taken = true
      const owed = new Map<string, { entry: PendingCommit; state: StateFile }>()
      const ops: string[] = []
      const submit = ({ entry, state }: { entry: PendingCommit; state: StateFile }) =>
        git.submit(source, rollout, entry, state)
      const settle = async () => {
        for (const op of owed.keys()) {
          await resultOf(git, source, rollout, op, (r) => r.state === 'Done')
          owed.delete(op)
        }
      }

      for (const s of steps) {
        if (s.do === 'release') {
          // A rollback that is still on its way was decided before this release.
          await settle()
          wanted = { image: `app:${s.version}`, note: `release ${s.version}` }
          taken = false
          person.commit(`release ${s.version}`, { [file]: deployment(wanted.image, { replicas, note: wanted.note }) })
        } else if (s.do === 'rollback') {
          const bad: Content = contentOf(deployment(wanted.image))
          if (bad.hash === v1.hash) continue
          if (s.lose) remote.faults.loseAnswers = 1
          const job = { entry: rollback(bad, v1), state: memory(v1, [bad]) }
          ops.push(job.entry.op)
          owed.set(job.entry.op, job)
          submit(job)
          taken = true
        } else if (s.do === 'scale') {
          replicas += 1
          scale(person, replicas)
        } else if (s.do === 'crash') {
          await git.stop()
          git = recorder({ workDir })
          for (const job of owed.values()) submit(job)
        } else if (s.do === 'outage') {
          remote.faults.down = true
          await hasty.sleep(20)
          remote.faults.down = false
        } else if (s.do === 'settle') await settle()
        else await hasty.sleep(s.ms)
      }
      await settle()
      const last = taken ? good : wanted
      expect(person.read(file)).toBe(deployment(last.image, { replicas, note: last.note }))
      const found = person.git('log', '--format=%(trailers:key=Rollout-Op,valueonly)').split('\n').filter(Boolean)
      expect(new Set(found).size).toBe(found.length)
      for (const op of found) expect(ops).toContain(op)
      expect(person.git('log', '--merges', '--format=%H')).toBe('')
      await git.stop()
    }),
    { numRuns: 4, endOnFailure: true },
  )
}, 120_000)
