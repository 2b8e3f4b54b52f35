import { expect, test } from 'vitest'
import { logNotifier, type Notification, type Notifier, notifyAll, silent } from '../../src/notify/notifier.ts'
import { readableLog } from '../approval/questions.ts'

const note = (over: Partial<Notification> = {}): Notification => ({
  rollout: 'shop/checkout',
  topic: 'step',
  message: 'now at 10 %',
  details: { attempt: 1 },
  ...over,
})

function recorder(): Notifier & { heard: Notification[] } {
  const heard: Notification[] = []
  return { heard, notify: (notification) => void heard.push(notification), stop: async () => undefined }
}

test('everybody hears everything; one that fails does not keep it from the others', () => {
  const { log, text } = readableLog()
  const [one, two] = [recorder(), recorder()]
  const broken: Notifier = {
    ...silent,
    notify: () => {
      throw new Error('bug')
    },
  }
  notifyAll([one, broken, two], { runtime: { monotonic: () => 0 }, log }).notify(note())
  expect(one.heard).toEqual([note()])
  expect(two.heard).toEqual([note()])
  expect(text()).toContain('notifier failed')
})

test('the same thing told twice in short order is heard once; another attempt, or later, is news', () => {
  let now = 0
  const one = recorder()
  const all = notifyAll([one], { runtime: { monotonic: () => now }, log: readableLog().log, withinMs: 1_000 })
  all.notify(note())
  all.notify(note({ details: { attempt: 1, weight: 10 } }))
  all.notify(note({ details: { attempt: 2 } }))
  all.notify(note({ message: 'now at 50 %' }))
  now = 1_001
  all.notify(note())
  expect(one.heard.map(({ message, details }) => [message, details.attempt])).toEqual([
    ['now at 10 %', 1],
    ['now at 10 %', 2],
    ['now at 50 %', 1],
    ['now at 10 %', 1],
  ])
})

test('what was heard is not remembered without bound', () => {
  const one = recorder()
  const all = notifyAll([one], { runtime: { monotonic: () => 0 }, log: readableLog().log })
  for (let i = 0; i < 5_000; i++) all.notify(note({ message: `message ${i}` }))
  all.notify(note({ message: 'message 0' }))
  all.notify(note({ message: 'message 4999' }))
  expect(one.heard).toHaveLength(5_001)
})

test('the log adapter writes fields, not prose', () => {
  const { log, lines } = readableLog()
  logNotifier(log).notify(note())
  expect(lines[0]).toMatchObject({ msg: 'notification', rollout: 'shop/checkout', topic: 'step', told: 'now at 10 %' })
})
