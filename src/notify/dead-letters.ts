import type { Topic } from '../api/notify.ts'

/** A message to people that was given up. */
export interface DeadLetter {
  /** When it was given up, ISO 8601. */
  at: string
  /** `namespace/name`. */
  rollout: string
  topic: Topic
  message: string
  /** Who was to be told: `slack #shop`, or `webhook https://example.com`, without path or secret. */
  place: string
  /** Why it was given up, in a sentence. */
  why: string
  attempts: number
}

/** The last messages that were given up by this process, newest first. */
export interface DeadLetters {
  list(): readonly DeadLetter[]
  add(letter: DeadLetter): void
}

export function createDeadLetters(capacity = 200): DeadLetters {
  const letters: DeadLetter[] = []
  return {
    list: () => [...letters],
    add(letter) {
      letters.unshift(letter)
      letters.splice(capacity)
    },
  }
}
