import { describe, expect, test } from 'vitest'
import type { KubeList, ListOptions, WatchEvent, WatchOptions } from '../../src/kube/client.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import { defaultTimings, listAndWatch, type Trouble } from '../../src/kube/list-watch.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { createWorld, seeded, type World } from './world.ts'

/** One answer of the server: a list, the events of one watch (which then ends), or what is thrown. */
type Answer = KubeList | WatchEvent[] | KubeError

interface Followed {
  world: World
  lists: ListOptions[]
  watches: { at: number; options: WatchOptions }[]
  troubles: Trouble[]
  keys: string[][]
}

function pod(name: string, resourceVersion: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'shop', name, resourceVersion } }
}

function listOf(resourceVersion: string, items: KubeObject[] = [], token?: string): KubeList {
  return { resourceVersion, items, ...(token ? { continue: token } : {}) }
}

/** Follows a server that answers by a script, and then accepts a watch in which nothing happens. */
async function follow(answers: Answer[], random = seeded(1), ms = 600_000): Promise<Followed> {
  const world = createWorld()
  const runtime = world.runtime({ random })
  const stopped = new AbortController()
  const seen: Followed = { world, lists: [], watches: [], troubles: [], keys: [] }
  const next = (): Exclude<Answer, KubeError> | undefined => {
    const answer = answers.shift()
    if (answer instanceof KubeError) throw answer
    return answer
  }
  const following = listAndWatch({
    client: {
      async list(_resource, options = {}) {
        seen.lists.push(options)
        const answer = next()
        if (!answer || Array.isArray(answer)) throw new Error('the script has no list here')
        return answer
      },
      async *watch(_resource, options) {
        seen.watches.push({ at: world.now(), options })
        const answer = next()
        if (Array.isArray(answer)) {
          await runtime.sleep(30_000, options.signal)
          yield* answer
        } else await runtime.sleep(1e9, options.signal)
      },
    },
    runtime,
    resource: async () => resources.pods,
    timings: defaultTimings,
    signal: stopped.signal,
    onObject: () => undefined,
    onGone: () => undefined,
    onListed: (keys) => seen.keys.push([...keys]),
    onActivity: () => undefined,
    onTrouble: (trouble) => seen.troubles.push(trouble),
  })
  await world.runUntil(ms)
  stopped.abort(new Error('the test is over'))
  await following
  return seen
}

const refused = (status: number, reason: string, more: object = {}) =>
  new KubeError('on purpose', { status, reason, ...more })

describe('a watch', () => {
  test('whose time is over goes on from the last version, and nothing is listed again', async () => {
    const events: WatchEvent[] = [{ type: 'ADDED', object: pod('a', '11') }]
    const { lists, watches, troubles } = await follow([listOf('10'), events, [], events])
    expect(lists).toHaveLength(1)
    expect(watches.map(({ options }) => options.resourceVersion)).toEqual(['10', '11', '11', '11'])
    expect(troubles).toEqual([])
  })

  test('is asked to end after a time of its own, so that a thousand of them do not end together', async () => {
    const { watches } = await follow([listOf('10'), [], [], [], []])
    const seconds = watches.map(({ options }) => options.timeoutSeconds)
    expect(new Set(seconds).size).toBe(seconds.length)
    expect(Math.min(...seconds)).toBeGreaterThanOrEqual(defaultTimings.watchSeconds)
    expect(Math.max(...seconds)).toBeLessThanOrEqual(2 * defaultTimings.watchSeconds)
  })

  test('from a version that a restored server has not reached begins with a list', async () => {
    const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]
    const future = refused(504, 'Timeout', { details: { causes } })
    const { lists, watches, troubles } = await follow([listOf('900'), future, listOf('20')])
    expect(lists).toHaveLength(2)
    expect(watches.map(({ options }) => options.resourceVersion)).toEqual(['900', '20'])
    expect(troubles.map(({ kind }) => kind)).toEqual(['expired'])
  })

  test('that a busy server puts off is not begun before the time it names', async () => {
    const { watches } = await follow([listOf('10'), refused(429, 'TooManyRequests', { retryAfterMs: 40_000 })])
    expect(watches).toHaveLength(2)
    expect(watches[1]!.at - watches[0]!.at).toBeGreaterThanOrEqual(40_000)
  })
})

describe('a list', () => {
  test('whose later pages are newer than its first is followed from the first: what came between is heard twice rather than never', async () => {
    const pages = [listOf('10', [pod('a', '5')], 'next'), listOf('17', [pod('b', '16')])]
    const { lists, watches, keys } = await follow(pages)
    expect(lists.map((options) => options.continue)).toEqual([undefined, 'next'])
    expect(keys).toEqual([['shop/a', 'shop/b']])
    expect(watches[0]?.options.resourceVersion).toBe('10')
  })
})

test('those who lost one server at one moment come back at moments of their own, ever later', async () => {
  const away = () => Array.from({ length: 6 }, () => refused(503, 'ServiceUnavailable'))
  const pauses = async (seed: number) => {
    const { troubles } = await follow([...away(), listOf('10')], seeded(seed))
    return troubles.map(({ retryMs }) => retryMs)
  }
  const all = await Promise.all([1, 2, 3, 4].map(pauses))
  for (const each of all) {
    for (const [attempt, ms] of each.entries()) {
      const least = Math.min(30_000, 250 * 2 ** attempt)
      expect(ms).toBeGreaterThanOrEqual(least)
      expect(ms).toBeLessThanOrEqual(2 * least)
    }
  }
  for (let attempt = 0; attempt < 6; attempt++) expect(new Set(all.map((each) => each[attempt])).size).toBe(4)
})
