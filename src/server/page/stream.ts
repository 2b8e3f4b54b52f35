import type { Runtime } from '../../runtime.ts'

/** What a page looks like now: its sections by id, and the title of the document. */
export interface Rendering {
  title: string
  sections: ReadonlyMap<string, string>
}

/** Sends changes to everybody who watches. */
export interface Streams {
  /** A stream of server-sent events about one place (path and query); undefined when too many watch already. */
  open(place: string): ReadableStream<Uint8Array> | undefined
  /** Something has changed; it is sent soon, with all that changes until then. */
  poke(): void
  /** Ends all streams. */
  stop(): void
  watching(): number
}

export interface StreamsOptions {
  runtime: Pick<Runtime, 'sleep' | 'now' | 'monotonic'>
  /** Renders a place; called at most once for each in a round. */
  render(place: string): Promise<Rendering>
  onError(error: unknown): void
  /** Streams at the same time. Default 100. */
  most?: number
  /** Milliseconds between two rounds at least. Default 500. */
  everyMs?: number
  /** Milliseconds between two signs of life. Default 15 s. */
  heartbeatMs?: number
}

interface Watcher {
  place: string
  controller: ReadableStreamDefaultController<Uint8Array>
  /** What this one has been sent, by section. */
  sent: Map<string, string>
  title: string
  /** Since when it has not taken what was sent, monotonic ms. */
  stuckSince?: number
}

/** Bytes that may wait for one browser; what comes after is left out until it has taken them, and then sent as it is by then. */
const ROOM = 512 * 1024
/** A round that takes long comes this much more seldom: those who watch get a part of the process, never most of it. */
const SHARE = 4
/** Who takes nothing for so long is let go; a browser comes back by itself. */
const STUCK_MS = 30_000

/**
 * Server-sent events with whole sections of HTML, only those that have changed for the one who watches. A new stream begins with all of
 * them, so that nothing has to be remembered for one that comes back. Rounds happen only while somebody watches.
 */
export function createStreams(options: StreamsOptions): Streams {
  const { runtime, render, onError, most = 100, everyMs = 500, heartbeatMs = 15_000 } = options
  const watchers = new Set<Watcher>()
  const encoder = new TextEncoder()
  const ending = new AbortController()
  let dirty = false
  let running = false
  let lastRound = Number.NEGATIVE_INFINITY
  /** What the last round took, ms. */
  let lasted = 0
  let wake = new AbortController()

  /** One round after another while there is somebody. */
  async function run(): Promise<void> {
    if (running) return
    running = true
    try {
      while (watchers.size > 0 && !ending.signal.aborted) {
        if (dirty) {
          await pause(Math.max(everyMs, SHARE * lasted) - (runtime.monotonic() - lastRound), ending.signal)
          dirty = false
          lastRound = runtime.monotonic()
          await round()
          lasted = runtime.monotonic() - lastRound
        } else {
          wake = new AbortController()
          await pause(heartbeatMs, AbortSignal.any([wake.signal, ending.signal]))
          if (!dirty) for (const watcher of watchers) send(watcher, 'alive', { now: runtime.now() })
        }
      }
    } finally {
      running = false
    }
  }

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 0) await runtime.sleep(ms, signal).catch(() => undefined)
  }

  async function round(): Promise<void> {
    const places = new Map<string, Rendering | undefined>()
    for (const watcher of watchers) {
      const { place } = watcher
      if (!places.has(place)) {
        // Drawing is all computing, and there may be as many places as watchers: between two of them whatever else is due has its turn, a
        // retreat above all.
        if (places.size > 0) await pause(1, ending.signal)
        places.set(place, await rendered(place))
      }
      const rendering = places.get(place)
      if (rendering && watchers.has(watcher)) update(watcher, rendering)
    }
  }

  async function rendered(place: string): Promise<Rendering | undefined> {
    try {
      return await render(place)
    } catch (error) {
      onError(error)
      return undefined
    }
  }

  function update(watcher: Watcher, { title, sections }: Rendering): void {
    if ((watcher.controller.desiredSize ?? 0) <= 0) {
      watcher.stuckSince ??= runtime.monotonic()
      if (runtime.monotonic() - watcher.stuckSince > STUCK_MS) end(watcher)
      else dirty = true
      return
    }
    delete watcher.stuckSince
    const changed = [...sections].filter(([id, text]) => watcher.sent.get(id) !== text)
    if (changed.length === 0 && title === watcher.title) return
    for (const [id, text] of changed) watcher.sent.set(id, text)
    watcher.title = title
    send(watcher, 'sections', { now: runtime.now(), title, sections: Object.fromEntries(changed) })
  }

  function send(watcher: Watcher, event: string, data: object): void {
    try {
      watcher.controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`))
    } catch {
      watchers.delete(watcher)
    }
  }

  function end(watcher: Watcher): void {
    watchers.delete(watcher)
    try {
      watcher.controller.close()
    } catch {
      // It was gone before.
    }
  }

  function poke(): void {
    dirty = true
    wake.abort()
    if (watchers.size > 0) run().catch(onError)
  }

  return {
    open(place) {
      if (watchers.size >= most || ending.signal.aborted) return undefined
      let watcher: Watcher | undefined
      return new ReadableStream<Uint8Array>(
        {
          start(controller) {
            watcher = { place, controller, sent: new Map(), title: '' }
            watchers.add(watcher)
            controller.enqueue(encoder.encode('retry: 2000\n\n'))
            poke()
          },
          cancel() {
            if (watcher) watchers.delete(watcher)
          },
        },
        { highWaterMark: ROOM, size: (chunk) => chunk.byteLength },
      )
    },
    poke,
    stop() {
      ending.abort()
      for (const watcher of [...watchers]) end(watcher)
    },
    watching: () => watchers.size,
  }
}
