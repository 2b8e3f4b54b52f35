import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createApprovals } from '../../src/approval/approvals.ts'
import { createErrands } from '../../src/controller/errands.ts'
import { settle } from '../../src/controller/settle.ts'
import { textAt } from '../../src/kube/field.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ObjectsServer, startObjectsServer } from '../approval/objects-server.ts'
import { clock, question } from '../approval/questions.ts'
import { rolloutOf } from '../scenario/manifests.ts'

let server: ObjectsServer
beforeEach(async () => {
  server = await startObjectsServer()
})
afterEach(() => server.stop())

const owner = { namespace: 'shop', name: 'checkout', uid: 'rollout-1' }
const canary = { revision: 'v2-abc', name: 'v2', hash: 'abc', format: 1, workloads: [] }

/** What is left to do once this status is recorded, with what a cache shows by then. */
function world() {
  const runtime = clock()
  const log = pino({ level: 'silent' })
  const approvals = createApprovals({ client: server.client, runtime, log })
  const c = {
    reader: { get: () => undefined, list: () => [...server.objects.values()] },
    approvals,
    errands: createErrands({ runtime: systemRuntime, log, wake: () => undefined }),
    git: { observe: () => ({}) as never, submit: () => undefined, forget: () => undefined },
    log,
  }
  const rollout = { ...rolloutOf('shop', {}, 'checkout') }
  return {
    runtime,
    approvals,
    settle: (status: RolloutStatus) =>
      settle(c, {
        rollout,
        ref: { key: 'shop/checkout', ...owner },
        spec: undefined,
        decided: { status, effects: [], fallback: status, measuring: false },
      }),
    states: () =>
      Object.fromEntries(
        [...server.objects.values()].map((each) => [each.metadata.name, textAt(each, 'status', 'state')]),
      ),
  }
}

const asked = (name: string): RolloutStatus => ({
  canary,
  step: { index: 1, weight: 10, since: '' },
  approval: { name, step: 2, digest: name, state: 'Pending', since: '' },
})

test('an expired question that could not be closed is closed at the next look, and the one that is asked now stays open', async () => {
  const w = world()
  await w.approvals.ask(owner, question({ name: 'old', digest: 'old' }))
  w.runtime.advance(2 * 3_600_000)
  await w.approvals.ask(owner, question({ name: 'new', digest: 'new', expiresAt: w.runtime.now() + 3_600_000 }))
  server.refuse = { method: 'PATCH', status: 500, times: 1_000 }
  const againMs = await w.settle(asked('new'))
  expect(w.states()).toEqual({ old: undefined, new: undefined })
  // Nobody changes anything any more: it has to be looked at again by itself.
  expect(againMs).toBeGreaterThan(0)
  server.refuse.times = 0
  expect(await w.settle(asked('new'))).toBeUndefined()
  expect(w.states()).toEqual({ old: 'Void', new: undefined })
})

test('a question whose move is being made is closed as spent, one of a version that is gone as void', async () => {
  const w = world()
  await w.approvals.ask(owner, question({ name: 'spent', digest: 'spent' }))
  await w.approvals.ask(owner, question({ name: 'gone', digest: 'gone', revision: 'v1-old' }))
  const status = asked('spent')
  await w.settle({ ...status, approval: { ...status.approval!, state: 'Consumed' } })
  expect(w.states()).toEqual({ spent: 'Consumed', gone: 'Void' })
})

test('a question that was asked right before a crash is not closed by the status from before it', async () => {
  const w = world()
  await w.approvals.ask(owner, question({ name: 'fresh', digest: 'fresh' }))
  await w.settle({ canary, step: { index: 1, weight: 10, since: '' } })
  expect(w.states()).toEqual({ fresh: undefined })
})
