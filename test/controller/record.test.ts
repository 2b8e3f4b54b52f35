import pino from 'pino'
import { expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createRecorder, type Recorder } from '../../src/controller/record.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { rolloutOf } from '../scenario/manifests.ts'

/** One Rollout on an API server that checks resourceVersions, and may lose an answer. */
function world() {
  let live: KubeObject = {
    ...rolloutOf('shop'),
    metadata: { name: 'my-app', namespace: 'shop', uid: 'u', resourceVersion: '1' },
  }
  let lose = false
  const write = (status: RolloutStatus | undefined): KubeObject => {
    const resourceVersion = String(Number(live.metadata.resourceVersion) + 1)
    live = {
      ...live,
      metadata: { ...live.metadata, resourceVersion },
      ...(status ? { status: structuredClone(status) } : {}),
    }
    return live
  }
  const client = {
    get: async () => live,
    async replace(_: unknown, object: KubeObject) {
      if (object.metadata.resourceVersion !== live.metadata.resourceVersion)
        throw new KubeError('conflict', { status: 409, reason: 'Conflict' })
      const answer = write(object.status as RolloutStatus)
      if (lose) throw new KubeError('no answer', { status: 0, reason: 'ConnectionLost', ambiguous: true })
      return answer
    },
  }
  return {
    /** What a cache shows that has caught up. */
    live: () => live,
    /** Somebody changes what is no status, or writes a status. */
    write,
    loseAnswers(on: boolean) {
      lose = on
    },
    recorder: (): Recorder =>
      createRecorder({ client, runtime: systemRuntime, log: pino({ level: 'silent' }), checkpointMs: 60_000 }),
  }
}

const at = (index: number): RolloutStatus => ({ step: { index, weight: index * 10, since: '' } })

test('goes on from a status of its own whose answer was lost, and from nothing older', async () => {
  const w = world()
  const recorder = w.recorder()
  await recorder.record(w.live(), at(1))
  w.loseAnswers(true)
  await expect(recorder.record(w.live(), at(2))).rejects.toThrow('no answer')
  w.loseAnswers(false)
  // A person, who saw step 2, asks for something; that makes the cached object newer than everything we know of.
  w.write(undefined)
  expect(recorder.statusOf(w.live()).step?.index).toBe(2)
  expect(await recorder.record(w.live(), at(2))).toBe('Unchanged')
})

test('goes on from the status of another controller, without a write in between', async () => {
  const w = world()
  const recorder = w.recorder()
  await recorder.record(w.live(), at(1))
  w.write(at(3))
  expect(recorder.statusOf(w.live()).step?.index).toBe(3)
})

test('starts over when another controller wrote and the cache does not know yet', async () => {
  const w = world()
  const recorder = w.recorder()
  await recorder.record(w.live(), at(1))
  const cached = w.live()
  w.write(at(3))
  expect(await recorder.record(cached, at(2))).toBe('Lost')
  expect((w.live().status as RolloutStatus).step?.index).toBe(3)
})

test('keeps the numbers that were not due for writing when somebody changes what is no status', async () => {
  const w = world()
  const recorder = w.recorder()
  const sli = (good: number) => ({ analysis: [{ name: 's', objective: '', verdict: 'Pass' as const, good }] })
  await recorder.record(w.live(), sli(1))
  expect(await recorder.record(w.live(), sli(2))).toBe('Unchanged')
  w.write(undefined)
  expect(recorder.statusOf(w.live()).analysis?.[0]?.good).toBe(2)
})

test('is not misled by a cache that is behind its own writes', async () => {
  const w = world()
  const recorder = w.recorder()
  const cached = w.live()
  await recorder.record(cached, at(1))
  expect(recorder.statusOf(cached).step?.index).toBe(1)
  expect(await recorder.record(cached, at(2))).toBe('Written')
})
