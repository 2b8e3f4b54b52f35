import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Outcome, RolloutStatus } from '../../src/api/status.ts'
import { readRollout } from '../../src/cli/rollouts.ts'
import { endingOf, isRevision } from '../../src/cli/watch/ending.ts'
import { ago, canaryRevision, rollout, stableRevision, statuses } from './fixtures.ts'
import { createWorld, rolloutsRef, type World } from './world.ts'

let world: World
let stop: (() => void) | undefined
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.stop())
beforeEach(() => void world.put(rollout('checkout', statuses.Progressing)))
afterEach(() => {
  stop?.()
  world.server.faults.clear()
})

/** A watch under way: what it has said so far, and how it ends. */
function watching(argv: readonly string[], screen = false) {
  const said = { out: '', err: '' }
  const stopped = Promise.withResolvers<void>()
  stop = stopped.resolve
  const ended = world.sluice(['watch', ...argv], {
    terminal: {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
      untilStopped: () => stopped.promise,
      interactive: screen,
      ...(screen ? { columns: 80, rows: 40 } : {}),
    },
  })
  return { said, ended: ended.then(({ code }) => code), stop: stopped.resolve }
}

const promoted: RolloutStatus = {
  ...statuses.Healthy,
  ...(statuses.Progressing.canary ? { stable: statuses.Progressing.canary } : {}),
  message: `${canaryRevision} serves all of the traffic`,
}

function outcome(result: Outcome['result'], revision = canaryRevision): Outcome {
  return { revision, result, reason: result, message: 'so it is', at: ago(10) }
}

test('in a pipe every change that matters is one line, and numbers alone are none', async () => {
  const { said, ended, stop: end } = watching(['shop/checkout'])
  await expect.poll(() => said.out).toContain('shop/checkout Progressing step 1/3 10% v2-b7730d18aa holds at 10%')
  const analysis = statuses.Progressing.analysis?.map((sli) => ({ ...sli, good: (sli.good ?? 0) + 100 }))
  world.setStatus('checkout', { ...statuses.Progressing, ...(analysis ? { analysis } : {}) })
  world.setStatus('checkout', statuses.Paused)
  await expect.poll(() => said.out).toContain('Paused')
  end()
  expect(await ended).toBe(0)
  expect(said.out.trimEnd().split('\n')).toHaveLength(2)
  expect(said.out).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ shop\/checkout /)
})

test('for machines every version is one line of JSON', async () => {
  const { said, ended, stop: end } = watching(['shop/checkout', '-o', 'json'], true)
  await expect.poll(() => said.out).toContain('"phase":"Progressing"')
  world.setStatus('checkout', statuses.Paused)
  await expect.poll(() => said.out).toContain('"phase":"Paused"')
  end()
  await ended
  const [first, second] = said.out.trimEnd().split('\n')
  expect(JSON.parse(first ?? '')).toMatchObject({ type: 'MODIFIED', object: { status: { phase: 'Progressing' } } })
  expect(JSON.parse(second ?? '')).toMatchObject({ object: { kind: 'Rollout', status: { phase: 'Paused' } } })
})

test('on a screen one Rollout is a page, drawn in place', async () => {
  const { said, ended, stop: end } = watching(['shop/checkout'], true)
  await expect.poll(() => said.out).toContain('Progressing at step 1/3')
  world.setStatus('checkout', statuses.AwaitingApproval)
  await expect.poll(() => said.out).toContain('sluice approve shop/checkout')
  end()
  expect(await ended).toBe(0)
  const [, second = ''] = said.out.split('\u001b[0J')
  expect(said.out).toMatch(/\u001b\[\d+A\r\u001b\[0J/)
  expect(second).toMatch(/^shop\/checkout\n/)
})

test('on a screen many Rollouts are a table, without those that are gone', async () => {
  world.put(rollout('cart', statuses.Healthy))
  const { said, ended, stop: end } = watching(['-n', 'shop'], true)
  await expect.poll(() => said.out).toMatch(/NAME +PHASE.*cart +Healthy.*checkout +Progressing/s)
  world.server.storage.remove(rolloutsRef, { namespace: 'shop', name: 'cart' })
  await expect.poll(() => said.out.split('\u001b[0J').at(-1)).not.toContain('cart')
  end()
  expect(await ended).toBe(0)
})

describe('a pipeline waits for a revision', () => {
  const pipeline = ['shop/checkout', '--revision', 'v2', '--exit-code', '--timeout', '20s']
  const { canary: _, ...landed } = statuses.Progressing
  test.each([
    ['promoted', 0, promoted],
    ['rolled back', 3, statuses.RolledBack],
    ['aborted', 3, { ...statuses.RolledBack, lastOutcome: outcome('Aborted'), history: [outcome('Aborted')] }],
    ['superseded', 4, { ...landed, history: [outcome('Superseded')] }],
    ['reverted', 4, { ...statuses.Healthy, history: [outcome('Reverted')] }],
  ] as const)('%s: exit code %d', async (_name, code, end) => {
    const { said, ended } = watching(pipeline)
    await expect.poll(() => said.out).toContain('Progressing')
    world.setStatus('checkout', structuredClone(end) as RolloutStatus)
    expect(await ended).toBe(code)
    expect(said.err).toContain(canaryRevision)
  })

  test('none of it in time: exit code 5', async () => {
    const { said, ended } = watching(['shop/checkout', '--exit-code', '--timeout', '300ms'])
    expect(await ended).toBe(5)
    expect(said.err).toContain(`${canaryRevision} has not come to its end in time`)
  })

  test('without --exit-code the end of the revision ends the watch with 0', async () => {
    world.setStatus('checkout', statuses.RolledBack)
    expect(await watching(['shop/checkout', '--revision', canaryRevision]).ended).toBe(0)
  })

  test('a Rollout that is deleted meanwhile is exit code 1', async () => {
    const { said, ended } = watching(pipeline)
    await expect.poll(() => said.out).toContain('Progressing')
    world.server.storage.remove(rolloutsRef, { namespace: 'shop', name: 'checkout' })
    expect(await ended).toBe(1)
    expect(said.err).toContain('shop/checkout was deleted while it was watched')
  })

  test('stopped by a person before the end is exit code 1', async () => {
    const { said, ended, stop: end } = watching(pipeline)
    await expect.poll(() => said.out).toContain('Progressing')
    end()
    expect(await ended).toBe(1)
    expect(said.err).toContain('stopped before v2 came to its end')
  })
})

test('a connection that breaks is made again, and what happened meanwhile is seen', async () => {
  const { said, ended } = watching(['shop/checkout', '--revision', 'v2', '--exit-code'])
  await expect.poll(() => said.out).toContain('Progressing')
  const back = world.server.restart({ downMs: 200 })
  world.setStatus('checkout', statuses.RolledBack)
  await back
  expect(await ended).toBe(3)
})

test('what cannot be watched is said at once', async () => {
  expect(await world.sluice(['watch', 'shop/nothing'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('no Rollout shop/nothing; there are checkout'),
  })
  expect((await world.sluice(['watch', '--exit-code'])).code).toBe(2)
  expect((await world.sluice(['watch', 'shop/checkout', '--timeout', 'soon'])).code).toBe(2)
  expect((await world.sluice(['watch', 'shop/checkout', '--timeout', '30d'])).code).toBe(2)
  world.setStatus('checkout', statuses.Healthy)
  expect((await world.sluice(['watch', 'shop/checkout', '--exit-code'])).err).toContain(
    'name what to wait for with --revision',
  )
})

test('the exit codes are in the help', async () => {
  const { out } = await world.sluice(['watch', '--help'])
  for (const line of [/0 {2}promoted/, /3 {2}rolled back or aborted/, /4 {2}superseded/, /5 {2}none of this/])
    expect(out).toMatch(line)
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
})

describe('the end of a revision', () => {
  const end = (status: RolloutStatus, wanted = 'v2') => endingOf(readRollout(rollout('checkout', status)), wanted)?.kind

  test('what is being tried has not ended, whatever it came to before', () => {
    expect(end({ ...statuses.Progressing, history: [outcome('Aborted')] })).toBeUndefined()
  })
  test('what is stable has passed, also while another one is tried or was rolled back', () => {
    expect(end(statuses.Healthy, stableRevision)).toBe('Promoted')
    expect(end(statuses.Progressing, 'v1')).toBe('Promoted')
    expect(end(statuses.RolledBack, 'v1')).toBe('Promoted')
    expect(end({ ...promoted, phase: 'Invalid' })).toBeUndefined()
  })
  test('a status that is older than the spec tells nothing', () => {
    expect(end({ ...promoted, observedGeneration: 0 })).toBeUndefined()
  })
  test('a rollback that a retry has taken back does not count', () => {
    expect(end({ ...statuses.RolledBack, knownBad: [] })).toBeUndefined()
  })
  test('a revision that was never seen has not ended', () => {
    expect(end(statuses.Healthy)).toBeUndefined()
    expect(end({})).toBeUndefined()
  })
  test('a name means its revisions and no longer name', () => {
    expect(isRevision('v2-b7730d18aa', 'v2')).toBe(true)
    expect(isRevision('v2-b7730d18aa', 'v2-b7730d18aa')).toBe(true)
    expect(isRevision('v2-beta-b7730d18aa', 'v2')).toBe(false)
    expect(isRevision('v20-b7730d18aa', 'v2')).toBe(false)
  })
})
