import { describe, expect, test } from 'vitest'
import { systemRuntime as runtime } from '../../../src/runtime.ts'
import { createStreams, type Rendering } from '../../../src/server/page/stream.ts'

/** Streams about something of which there is more and more. */
function growing(size: number) {
  let version = 0
  let rendered = 0
  const streams = createStreams({
    runtime,
    everyMs: 5,
    heartbeatMs: 20,
    most: 3,
    onError: (error) => {
      throw error
    },
    render: async (place): Promise<Rendering> => {
      rendered++
      return {
        title: place,
        sections: new Map([
          ['a', 'always'],
          ['b', `${version} ${'x'.repeat(size)}`],
        ]),
      }
    },
  })
  return {
    streams,
    rendered: () => rendered,
    more() {
      version++
      streams.poke()
    },
  }
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value } = await reader.read()
  return new TextDecoder().decode(value)
}

/** The next event that has sections. */
async function sections(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Record<string, string>> {
  for (;;) {
    const text = await next(reader)
    if (text.startsWith('event: sections')) return JSON.parse(text.split('data: ')[1] ?? '').sections
  }
}

describe('streams to browsers', () => {
  test('begin with everything, go on with what has changed, and give signs of life', async () => {
    const world = growing(1)
    const reader = world.streams.open('/')!.getReader()
    expect(await next(reader)).toBe('retry: 2000\n\n')
    expect(Object.keys(await sections(reader))).toEqual(['a', 'b'])
    world.more()
    expect(Object.keys(await sections(reader))).toEqual(['b'])
    expect(await next(reader)).toMatch(/^event: alive\ndata: \{"now":\d+\}\n\n$/)
    world.streams.stop()
    for (let done = false; !done; ) done = (await reader.read()).done
  })

  test('one place is drawn once for all who watch it, and for nobody not at all', async () => {
    const world = growing(1)
    world.more()
    await runtime.sleep(30)
    expect(world.rendered()).toBe(0)
    const readers = [world.streams.open('/'), world.streams.open('/')].map((stream) => stream!.getReader())
    await Promise.all(readers.map(sections))
    const before = world.rendered()
    world.more()
    await Promise.all(readers.map(sections))
    expect(world.rendered()).toBe(before + 1)
    world.streams.stop()
  })

  test('who does not listen holds up nobody, costs no more memory, and then gets what is so by then', async () => {
    const world = growing(400_000)
    const deaf = world.streams.open('/')!.getReader()
    const alert = world.streams.open('/')!.getReader()
    for (let i = 0; i < 6; i++) {
      world.more()
      await sections(alert)
    }
    const heard: string[] = []
    for (let i = 0; i < 3; i++) heard.push(String((await sections(deaf)).b).slice(0, 1))
    expect(heard.at(-1)).toBe('6')
    world.streams.stop()
  })

  test('who has gone frees a place', async () => {
    const world = growing(1)
    const open = [1, 2, 3].map(() => world.streams.open('/')!.getReader())
    expect(world.streams.open('/')).toBeUndefined()
    await open[0]!.cancel()
    expect(world.streams.watching()).toBe(2)
    expect(world.streams.open('/')).toBeDefined()
    world.streams.stop()
    expect([world.streams.watching(), world.streams.open('/')]).toEqual([0, undefined])
  })

  test('many places that take long to draw let everything else have its turn in between', async () => {
    let drawn = 0
    let drawnWhenItsTurnCame = 0
    const streams = createStreams({
      runtime,
      everyMs: 5,
      onError: (error) => {
        throw error
      },
      render: async (place) => {
        // A retreat that becomes due while the first place is drawn.
        if (drawn++ === 0) setTimeout(() => (drawnWhenItsTurnCame = drawn), 1)
        for (const end = performance.now() + 5; performance.now() < end; );
        return { title: place, sections: new Map([['a', place]]) }
      },
    })
    const readers = Array.from({ length: 20 }, (_, i) => streams.open(`/?q=${i}`)!.getReader())
    await Promise.all(readers.map(sections))
    expect(drawn).toBeGreaterThanOrEqual(20)
    expect(drawnWhenItsTurnCame).toBeLessThan(5)
    streams.stop()
  })
})
