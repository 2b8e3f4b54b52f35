import { expect, test } from 'vitest'
import { createPropagation } from '../../../src/sandbox/mesh/propagation.ts'
import { simulatedRuntime } from '../cluster/simulated-runtime.ts'

test('a burst of changes is delivered once, after the quiet time', async () => {
  const runtime = simulatedRuntime()
  const delivered: number[] = []
  const propagation = createPropagation(runtime, 100, () => delivered.push(runtime.monotonic()))
  propagation.changed()
  await runtime.advance(60)
  propagation.changed()
  await runtime.advance(99)
  expect(delivered).toEqual([])
  await runtime.advance(1)
  expect(delivered).toEqual([160])
  await runtime.advance(1000)
  expect(delivered).toEqual([160])
})

test('changes that never cease are delivered all the same after a hundred quiet times', async () => {
  const runtime = simulatedRuntime()
  const delivered: number[] = []
  const propagation = createPropagation(runtime, 100, () => delivered.push(runtime.monotonic()))
  for (let n = 0; n < 210; n++) {
    propagation.changed()
    await runtime.advance(50)
  }
  expect(delivered).toEqual([10_000])
  propagation.stop()
})

test('without a delay each change counts at once, and nothing is delivered after the end', async () => {
  const runtime = simulatedRuntime()
  let deliveries = 0
  const immediate = createPropagation(runtime, 0, () => deliveries++)
  immediate.changed()
  expect(deliveries).toBe(1)
  const late = createPropagation(runtime, 100, () => deliveries++)
  late.changed()
  late.stop()
  await runtime.advance(1000)
  late.changed()
  await runtime.advance(1000)
  expect(deliveries).toBe(1)
})
