import { clean } from './width.ts'

/** What went wrong, in one line for the person at the command line; never a stack trace. */
export function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return clean(text) || 'something went wrong that has no name; please report it with the command line'
}
