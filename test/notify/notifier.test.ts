import { expect, test } from 'vitest'
import { createRepeats, type Notification } from '../../src/notify/notifier.ts'

const note = (over: Partial<Notification> = {}): Notification => ({
  rollout: 'shop/checkout',
  topic: 'step',
  message: 'now at 10 %',
  details: { attempt: 1 },
  ...over,
})

test('the same thing told twice in short order is heard once; another attempt, or later, is news', () => {
  let now = 0
  const isRepeated = createRepeats({ monotonic: () => now }, 1_000)
  expect(isRepeated(note())).toBe(false)
  expect(isRepeated(note({ details: { attempt: 1, weight: 10 } }))).toBe(true)
  expect(isRepeated(note({ details: { attempt: 2 } }))).toBe(false)
  expect(isRepeated(note({ message: 'now at 50 %' }))).toBe(false)
  now = 1_001
  expect(isRepeated(note())).toBe(false)
})

test('what was heard is not remembered without bound', () => {
  const isRepeated = createRepeats({ monotonic: () => 0 })
  for (let i = 0; i < 5_000; i++) isRepeated(note({ message: `message ${i}` }))
  expect(isRepeated(note({ message: 'message 0' }))).toBe(false)
  expect(isRepeated(note({ message: 'message 4999' }))).toBe(true)
})
