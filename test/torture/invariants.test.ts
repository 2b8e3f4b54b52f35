import { describe, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { virtualServiceOf } from '../scenario/manifests.ts'
import { subsetsApp } from './app.ts'
import { deploymentApp } from './deployment-app.ts'
import { violationsOf } from './invariants.ts'
import type { CommitSeen, Seen, Story } from './story.ts'

const revision = (name: string) => ({ revision: `${name}-1`, name, hash: '1', format: 1, workloads: [] })
let at = 0

function route(weight: number, tip: string, by = 'sluice', object?: KubeObject): Seen {
  const weights = { v1: 100 - weight, v2: weight }
  return { kind: 'route', at: at++, weights, by, tip, object: object ?? virtualServiceOf('shop', weights) }
}

function status(given: RolloutStatus): Seen {
  return { kind: 'status', at: at++, status: { attempt: 1, stable: revision('v1'), ...given } }
}

function approval(name: string, state: string, decisions = state === 'Pending' ? 0 : 1): Seen {
  return { kind: 'approval', at: at++, name, step: 2, state, decisions }
}

function request(verb: string): Seen {
  return { kind: 'request', at: at++, verb, id: verb }
}

/** A status that acknowledges a request. */
function done(verb: string, when = '1', result: 'Done' | 'Void' = 'Done'): Seen {
  return status({ lastRequest: { id: verb, verb, result, message: '', at: when } })
}

function commit(sha: string, subject: string, weight?: number, more: Partial<CommitSeen> = {}): CommitSeen {
  const weights = weight === undefined ? {} : { weights: { stable: 'v1', canary: 'v2', weight } }
  return { sha, author: 'Sluice', subject, op: `op-${sha}`, ...weights, ...more }
}

const outcome = { revision: 'v2-1', reason: 'Passed', message: '', at: '' }
const promotion = { ...outcome, result: 'Promoted' as const }
const rollback = { ...outcome, result: 'RolledBack' as const }
const mark = { revision: 'v2-1', name: 'v2', hash: '1', reason: 'Breach', at: '' }

function promoted(): Story {
  return {
    namespace: 'shop',
    app: subsetsApp({ versions: [{ name: 'v2' }] }),
    steps: [10, 50, 100],
    gated: [2],
    attempts: [{ version: 'v2', ends: ['Promoted'], way: [10, 50, 100] }],
    seen: [
      route(0, 'a'),
      route(10, 'b'),
      approval('q', 'Pending'),
      approval('q', 'Approved'),
      route(50, 'c'),
      route(100, 'd'),
      status({ phase: 'Healthy', stable: revision('v2'), lastOutcome: promotion, history: [promotion] }),
    ],
    commits: [
      { sha: 'a', author: 'Dana', subject: 'release v2' },
      commit('b', 'my-app: 0% → 10% (shop)', 10, { step: '1/3' }),
      commit('c', 'my-app: 10% → 50% (shop)', 50, { step: '2/3', approvedBy: 'user:dana' }),
      { sha: 'x', author: 'Dana', subject: 'something else' },
      commit('d', 'my-app: 50% → 100% (shop)', 100, { step: '3/3' }),
      commit('e', 'my-app: promote v2 (shop)', 100),
    ],
    foreign: ['something else'],
    git: { weights: { v1: 0, v2: 100 }, desired: 'v2' },
    leftovers: [],
  }
}

function rolledBack(): Story {
  return {
    ...promoted(),
    gated: [],
    attempts: [{ version: 'v2', ends: ['RolledBack'], way: [10] }],
    seen: [
      route(0, 'a'),
      route(10, 'b'),
      route(0, 'b', 'sluice-retreat.Breach.success-rate'),
      status({ phase: 'Healthy', knownBad: [mark], lastOutcome: rollback, history: [rollback] }),
    ],
    commits: [
      { sha: 'a', author: 'Dana', subject: 'release v2' },
      commit('b', 'my-app: 0% → 10% (shop)', 10),
      { sha: 'x', author: 'Dana', subject: 'something else' },
      commit('c', 'my-app: roll back v2 → v1 (shop): errors', 0),
    ],
    git: { weights: { v1: 100, v2: 0 }, desired: 'v1' },
  }
}

/** Taken back at 10 %: the desired version is the stable one again, and nobody is marked bad. */
function reverted(): Story {
  const outcome = { revision: 'v2-1', reason: 'Reverted', message: '', at: '', result: 'Reverted' as const }
  return {
    ...rolledBack(),
    attempts: [{ version: 'v2', ends: ['Reverted'] }],
    seen: [
      route(0, 'a'),
      route(10, 'b'),
      route(0, 'b', 'sluice-retreat.Reverted'),
      status({ phase: 'Healthy', lastOutcome: outcome, history: [outcome] }),
    ],
    commits: [
      { sha: 'a', author: 'Dana', subject: 'release v2' },
      commit('b', 'my-app: 0% → 10% (shop)', 10),
      { sha: 'x', author: 'Dana', subject: 'something else' },
      commit('c', 'my-app: 10% → 0% (shop): v1 is desired again', 0),
    ],
  }
}

/** Rolled back, retried by a person once it was repaired, and promoted. */
function retried(): Story {
  const second = promoted()
  const first = rolledBack()
  const seen = second.seen.map((entry) =>
    entry.kind === 'status'
      ? status({ phase: 'Healthy', stable: revision('v2'), attempt: 2, history: [promotion, rollback] })
      : entry,
  )
  return {
    ...second,
    gated: [],
    attempts: [...first.attempts, ...second.attempts],
    seen: [...first.seen, request('retry'), status({ knownBad: [mark] }), done('retry'), ...seen.slice(1)],
    commits: [
      ...first.commits.slice(0, 2),
      { sha: 'x', author: 'Dana', subject: 'something else' },
      commit('r', 'my-app: roll back v2 → v1 (shop): errors', 0),
      ...second.commits
        .filter(({ subject }) => subject.startsWith('my-app'))
        .map((each) => ({ ...each, sha: `${each.sha}2`, op: `again-${each.op}` })),
    ],
  }
}

const rules = (story: Story) => [...new Set(violationsOf(story).map(({ rule }) => rule))]
const without = (story: Story, n: number): Story => ({ ...story, seen: story.seen.filter((_, i) => i !== n) })
const plus = (story: Story, n: number, ...more: Seen[]): Story => ({
  ...story,
  seen: [...story.seen.slice(0, n), ...more, ...story.seen.slice(n)],
})

describe('the checker', () => {
  test('finds nothing in a release that went all the way, nor in one that was rolled back or taken back', () => {
    expect(violationsOf(promoted())).toEqual([])
    expect(violationsOf(rolledBack())).toEqual([])
    expect(violationsOf(reverted())).toEqual([])
    const story = retried()
    for (const entry of story.seen.slice(5)) if (entry.kind === 'route' && entry.weights.v2) entry.tip = `${entry.tip}2`
    expect(violationsOf(story)).toEqual([])
  })

  test('finds a route in which more than weights changed', () => {
    const changed = virtualServiceOf('shop', { v1: 90, v2: 10 }, { timeout: '5s' })
    expect(rules(plus(promoted(), 2, route(10, 'b', 'sluice', changed)))).toEqual(['I1'])
  })

  test('finds a pair that does not keep its sum', () => {
    const story = promoted()
    const [, second] = story.seen
    if (second?.kind === 'route') second.weights = { v1: 100, v2: 10 }
    expect(rules(story)).toContain('I1')
  })

  test('finds a step that was skipped', () => {
    expect(rules(without(promoted(), 4))).toContain('Order')
  })

  test('finds a weight that flapped on the way', () => {
    expect(rules(plus(promoted(), 2, route(0, 'b'), route(10, 'b')))).toContain('End')
  })

  test('finds a weight that rose before Git said so', () => {
    const story = promoted()
    const [, second] = story.seen
    if (second?.kind === 'route') second.tip = 'a'
    expect(rules(story)).toEqual(['I3'])
  })

  test('finds an operation that was committed twice', () => {
    const story = promoted()
    story.commits.push(commit('z', 'my-app: 0% → 10% (shop)', 100, { op: 'op-b' }))
    expect(rules(story)).toEqual(['I5'])
  })

  test('finds an outcome that was committed twice under two names', () => {
    const story = rolledBack()
    story.commits.push(commit('z', 'my-app: roll back v2 → v1 (shop): errors', 0))
    expect(rules(story)).toContain('I5')
  })

  test('finds the lost commit of somebody else, and a history that was rewritten', () => {
    const lost = promoted()
    lost.commits = lost.commits.filter(({ sha }) => sha !== 'x')
    expect(rules(lost)).toEqual(['I13'])
    expect(rules(plus(promoted(), 1, { ...route(0, 'gone') }))).toEqual(['I13'])
  })

  test('finds a raise after a breach, and one of a revision that is known to be bad', () => {
    const breach = { name: 's', objective: '99 %', verdict: 'Breach' as const }
    expect(rules(plus(promoted(), 4, status({ canary: revision('v2'), analysis: [breach] })))).toEqual(['Breach'])
    expect(rules(plus(rolledBack(), 3, route(10, 'b')))).toContain('Breach')
    expect(rules(plus(rolledBack(), 4, route(10, 'b')))).toContain('I8')
  })

  test('finds a release that was begun twice', () => {
    expect(rules(plus(promoted(), 2, status({ attempt: 2 })))).toEqual(['I7'])
  })

  test('finds a gated step that was entered without an answer, and an answer that was used twice', () => {
    expect(rules(without(promoted(), 3))).toEqual(['I11'])
    expect(rules(plus(promoted(), 5, route(10, 'c'), route(50, 'c')))).toContain('I11')
  })

  test('finds a raise while it was paused, until somebody said resume', () => {
    const paused = status({ paused: { reason: 'Requested', message: '', at: '' } })
    expect(rules(plus(promoted(), 4, paused))).toEqual(['Pause'])
    expect(rules(plus(promoted(), 4, paused, request('resume'), done('resume')))).toEqual([])
  })

  test('finds a request that was executed twice, refused, or never heard', () => {
    expect(rules(plus(promoted(), 2, request('promote'), done('promote')))).toEqual([])
    expect(rules(plus(promoted(), 2, request('promote'), done('promote'), done('promote', '2')))).toEqual(['Request'])
    expect(rules(plus(promoted(), 2, request('promote'), done('promote', '1', 'Void')))).toEqual(['Request'])
    expect(rules(plus(promoted(), 2, request('promote')))).toEqual(['Request'])
  })

  test('finds one person who counts twice', () => {
    expect(rules(plus(promoted(), 3, approval('q', 'Approved', 2)))).toEqual(['I11'])
  })

  test('finds traffic on two canaries at once', () => {
    const story = promoted()
    story.app = subsetsApp({ versions: [{ name: 'v2' }, { name: 'v3' }] })
    const [, second] = story.seen
    if (second?.kind === 'route') second.weights = { v1: 80, v2: 10, v3: 10 }
    expect(rules(story)).toContain('I1')
  })

  test('finds a pod of what has not passed, and a canary pod that is taken away under traffic', () => {
    const pod = (workload: string, version: string, goes = false): Seen => {
      return { kind: 'pod', at: at++, name: `${workload}-1`, workload, version, goes }
    }
    const route = (canary: number): Seen => {
      const weights = { stable: 100 - canary, canary }
      return { kind: 'route', at: at++, weights, object: virtualServiceOf('shop', weights), tip: 'a' }
    }
    const of = (...seen: Seen[]): Story => ({ ...promoted(), app: deploymentApp({ versions: [] }), seen })
    const found = (story: Story) => rules(story).filter((rule) => rule === 'Latch' || rule === 'Capacity')
    const passed = status({ stable: revision('v2') })
    expect(found(of(pod('my-app', 'v1'), pod('my-app-canary', 'v2'), passed, pod('my-app', 'v2')))).toEqual([])
    expect(found(of(pod('my-app', 'v1'), pod('my-app', 'v2'), passed))).toEqual(['Latch'])
    expect(found(of(route(10), route(0), pod('my-app-canary', 'v2', true)))).toEqual([])
    expect(found(of(route(10), pod('my-app-canary', 'v2', true)))).toEqual(['Capacity'])
  })

  test('finds a version that was marked bad though people only took it back', () => {
    const story = reverted()
    const last = story.seen.at(-1)
    if (last?.kind === 'status') last.status.knownBad = [mark]
    expect(rules(story)).toEqual(['End'])
  })

  test('finds every way of ending wrong', () => {
    const worlds: ((story: Story) => void)[] = [
      (story) => story.seen.pop(),
      (story) => story.seen.push(status({ phase: 'Progressing' })),
      (story) => story.seen.push(route(0, 'd')),
      (story) => Object.assign(story.git, { desired: 'v1' }),
      (story) => Object.assign(story.git.weights, { v2: 50 }),
      (story) => story.commits.pop(),
    ]
    for (const spoil of worlds) {
      const story = promoted()
      spoil(story)
      expect(rules(story)).toContain('End')
    }
  })
})
