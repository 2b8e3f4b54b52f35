import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { readRequest } from '../../src/approval/request.ts'
import { canaryRevision, rollout, stableRevision, statuses } from './fixtures.ts'
import { createWorld, rolloutsRef, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.stop())
beforeEach(() => void world.put(rollout('checkout', statuses.Progressing)))

function requested(): ReturnType<typeof readRequest> {
  return readRequest(world.get('checkout').metadata.annotations)
}

/** A controller that answers every request like this, until it is stopped. */
function controller(result: 'Done' | 'Void' | 'Refused', message: string): () => void {
  return world.server.storage.subscribe(rolloutsRef, (type, object) => {
    if (type === 'DELETED') return
    const reading = readRequest(object.metadata.annotations)
    if (reading.kind !== 'Request') return
    const { id, verb } = reading.request
    queueMicrotask(() => {
      const live = world.get('checkout')
      const status = (live.status ?? {}) as RolloutStatus
      if (status.lastRequest?.id === id) return
      world.setStatus('checkout', {
        ...status,
        lastRequest: { id, verb, result, message, at: new Date().toISOString() },
      })
    })
  })
}

test('a request is for the revision that is seen, names who asks, and prints what was done', async () => {
  const stop = controller('Done', 'nothing moves forward until it is resumed')
  const said = await world.sluice(['pause', 'shop/checkout', '--reason', 'payday'], { user: 'kim' })
  stop()
  expect(said).toEqual({ code: 0, out: 'Done: nothing moves forward until it is resumed\n', err: '' })
  expect(requested()).toMatchObject({
    kind: 'Request',
    request: { verb: 'pause', revision: canaryRevision, reason: 'payday', by: 'user:kim' },
  })
})

test.each([
  ['Void', 'void: it was meant for v2'],
  ['Refused', 'refused: it was meant for v2'],
] as const)('an answer %s is exit code 1 and a sentence with a fix', async (result, words) => {
  const stop = controller(result, 'it was meant for v2')
  const said = await world.sluice(['abort', 'shop/checkout'])
  stop()
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toBe(`sluice: shop/checkout: ${words}. Look at what is being rolled out: sluice describe.\n`)
})

test('says when no controller answers, and that the request stays', async () => {
  const said = await world.sluice(['pause', 'shop/checkout', '--wait', '0.3'])
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toMatch(
    /^sluice: no controller answered within 0.3 s that shop\/checkout is to pause; .*Check that sluice controller runs/,
  )
  expect(requested()).toMatchObject({ kind: 'Request', request: { verb: 'pause' } })
})

test('does not wait when told so', async () => {
  const said = await world.sluice(['abort', 'shop/checkout', '--no-wait'])
  expect(said).toEqual({ code: 0, out: 'Asked to abort shop/checkout; not waiting for the answer.\n', err: '' })
})

test('a promotion ends the hold that is seen and no later one; --full ends them all', async () => {
  await world.sluice(['promote', 'shop/checkout', '--no-wait'])
  expect(requested()).toMatchObject({ request: { verb: 'promote', step: 1, revision: canaryRevision } })
  world.put(rollout('checkout', statuses.Progressing))
  await world.sluice(['promote', 'shop/checkout', '--full', '--no-wait'])
  const reading = requested()
  expect(reading).toMatchObject({ request: { full: true } })
  expect(reading.kind === 'Request' && reading.request.step).toBeUndefined()
})

test('a step that is not held is refused before anything is asked', async () => {
  const said = await world.sluice(['pause', 'shop/checkout', '--step', '2', '--no-wait'])
  expect(said.err).toContain('step 2 is not the one that is held; it is step 1')
  expect(requested().kind).toBe('None')
})

test('where nothing is being rolled out, nothing is asked', async () => {
  world.put(rollout('checkout', statuses.Healthy))
  for (const verb of ['pause', 'resume', 'promote', 'abort']) {
    const said = await world.sluice([verb, 'shop/checkout'])
    expect(said.code).toBe(1)
    expect(said.err).toContain(`nothing is being rolled out (Healthy), so there is nothing to ${verb}`)
  }
  expect(requested().kind).toBe('None')
})

test('what is not paused cannot be resumed', async () => {
  expect((await world.sluice(['resume', 'shop/checkout'])).err).toContain('it is not paused (Progressing)')
})

test('a retry is for the revision that failed last, or for the one that is named', async () => {
  world.put(rollout('checkout', statuses.RolledBack))
  await world.sluice(['retry', 'shop/checkout', '--no-wait'])
  expect(requested()).toMatchObject({ request: { verb: 'retry', revision: canaryRevision } })
  world.put(rollout('checkout', statuses.RolledBack))
  await world.sluice(['retry', 'shop/checkout', '--revision', 'v2', '--no-wait'])
  expect(requested()).toMatchObject({ request: { revision: canaryRevision } })
  const unknown = await world.sluice(['retry', 'shop/checkout', '--revision', stableRevision])
  expect(unknown.err).toContain(`${stableRevision} is not known to be bad (known are: ${canaryRevision})`)
  world.put(rollout('checkout', statuses.Healthy))
  expect((await world.sluice(['retry', 'shop/checkout'])).err).toContain('no revision is known to be bad')
})

test("somebody else's unanswered request is not overwritten, except by an abort", async () => {
  await world.sluice(['abort', 'shop/checkout', '--no-wait'], { user: 'kim' })
  const second = await world.sluice(['pause', 'shop/checkout', '--wait', '0.3'])
  expect(second).toMatchObject({ code: 1, err: expect.stringContaining('has not been answered yet') })
  expect(requested()).toMatchObject({ request: { verb: 'abort', by: 'user:kim' } })
  world.put(rollout('checkout', statuses.Progressing))
  await world.sluice(['promote', 'shop/checkout', '--no-wait'])
  await world.sluice(['abort', 'shop/checkout', '--no-wait'])
  expect(requested()).toMatchObject({ request: { verb: 'abort' } })
})

test('a write of the controller in between is survived, another revision in between is not', async () => {
  // Between the look at the Rollout and the write comes the question who asks.
  const meanwhile = (status: RolloutStatus) =>
    world.server.onRequest(({ path }) => {
      if (path.includes('selfsubjectreviews')) world.setStatus('checkout', status)
    })
  const calm = meanwhile({ ...statuses.Progressing, message: 'another sentence' })
  const said = await world.sluice(['pause', 'shop/checkout', '--no-wait'])
  calm()
  expect(said).toMatchObject({ code: 0 })
  world.put(rollout('checkout', statuses.Progressing))
  const canary = statuses.Progressing.canary
  const changed = meanwhile({
    ...statuses.Progressing,
    ...(canary ? { canary: { ...canary, revision: 'v3-00' } } : {}),
  })
  const late = await world.sluice(['pause', 'shop/checkout', '--no-wait'])
  changed()
  expect(late).toMatchObject({
    code: 1,
    err: expect.stringContaining('another revision is being rolled out since you looked'),
  })
  expect(requested().kind).toBe('None')
})
