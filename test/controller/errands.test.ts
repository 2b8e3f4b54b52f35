import pino from 'pino'
import { expect, test } from 'vitest'
import { createErrands } from '../../src/controller/errands.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'

function world() {
  const woken: string[] = []
  const log = pino({ level: 'silent' })
  return { woken, errands: createErrands({ runtime, log, wake: (key) => void woken.push(key), patienceMs: 20 }) }
}

test('what is done at once is done when it returns', async () => {
  const { errands } = world()
  let done = 0
  await errands.run('shop/checkout', 'ask a', async () => void done++)
  expect(done).toBe(1)
})

test('what fails at once is said to whoever asked', async () => {
  const { errands, woken } = world()
  const failing = errands.run('shop/checkout', 'ask a', () => Promise.reject(new Error('refused')))
  await expect(failing).rejects.toThrow('refused')
  expect(woken).toEqual([])
})

test('a server that does not answer keeps nobody waiting, the same is not begun twice, and a late failure has it looked at again', async () => {
  const { errands, woken } = world()
  let begun = 0
  let fail: (error: Error) => void = () => undefined
  const work = () => {
    begun++
    return new Promise<void>((_, reject) => {
      fail = reject
    })
  }
  await errands.run('shop/checkout', 'ask a', work)
  await errands.run('shop/checkout', 'ask a', work)
  expect(begun).toBe(1)
  fail(new Error('too late'))
  await errands.idle()
  expect(woken).toEqual(['shop/checkout'])
  await errands.run('shop/checkout', 'ask a', async () => void begun++)
  expect(begun).toBe(2)
})
