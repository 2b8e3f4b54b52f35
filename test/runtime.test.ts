import { expect, test } from 'vitest'
import { systemRuntime } from '../src/runtime.ts'

test('a sleep that is longer than a timer can be is not over at once', async () => {
  const waking = new AbortController()
  let over = false
  const slept = systemRuntime.sleep(1e12, waking.signal).then(
    () => (over = true),
    () => undefined,
  )
  await systemRuntime.sleep(30)
  expect(over).toBe(false)
  waking.abort()
  await slept
})
