import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Collects garbage once, and gives free pages back to the system. Reading a big cluster leaves several times more garbage
 * than it leaves objects, and an idle process would keep it for ever: nothing makes the collector run again. Stops the
 * process for about a millisecond per megabyte that is in use, so only for when nothing is under way yet.
 */
export function giveBackMemory(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
