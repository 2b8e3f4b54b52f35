import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { giveBackMemory } from '../../src/controller/memory.ts'

test('what nobody refers to any more is gone, what somebody refers to stays', async () => {
  const kept = { name: 'kept' }
  const [garbage, live] = [new WeakRef({ name: 'garbage' }), new WeakRef(kept)]
  // A WeakRef keeps its object until the job that made it is over.
  await setImmediate()
  giveBackMemory()
  expect(garbage.deref()).toBeUndefined()
  expect(live.deref()).toBe(kept)
  expect('gc' in globalThis).toBe(false)
})
