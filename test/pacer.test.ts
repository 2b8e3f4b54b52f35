import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPacer } from '../src/pacer.ts'

test('callers go on in their order, one per turn of the event loop, and others get turns in between', async () => {
  const pacer = createPacer()
  const seen: string[] = []
  const work = Array.from({ length: 5 }, async (_, i) => {
    await pacer.turn()
    seen.push(`work ${i}`)
  })
  const other = (async () => {
    await nextTurn()
    await nextTurn()
    seen.push('other')
  })()
  await Promise.all([...work, other])
  expect(seen.filter((name) => name !== 'other')).toEqual(['work 0', 'work 1', 'work 2', 'work 3', 'work 4'])
  expect(seen.indexOf('other')).toBeLessThan(4)
})

test('a pacer that was idle serves again', async () => {
  const pacer = createPacer()
  await pacer.turn()
  await nextTurn()
  await nextTurn()
  await expect(pacer.turn()).resolves.toBeUndefined()
})
