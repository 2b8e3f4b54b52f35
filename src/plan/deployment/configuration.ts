import type { RevisionRecord } from '../../api/status.ts'
import { templateOf } from '../revision.ts'
import type { Turn } from '../turn.ts'
import { seenDeployment } from './state.ts'

/** How soon it is looked whether configuration has been read, or may be. */
const UNREAD_MS = 2_000

/** When to look again for configuration that cannot be read, in milliseconds. */
export function untilConfigRead(turn: Turn): number | undefined {
  return seenDeployment(turn)?.configuration?.unread ? UNREAD_MS : undefined
}

/** Whether nothing but configuration tells two revisions apart. */
export function isConfigOnly(a: RevisionRecord | undefined, b: RevisionRecord | undefined): boolean {
  return a?.config !== undefined && b?.config !== undefined && a.hash !== b.hash && templateOf(a) === templateOf(b)
}

/**
 * What people have to put back after a rollback, because no rollback can: the ConfigMaps and Secrets that are not any more as stable was
 * tested with. Pods of stable that start from now on read the new content. Kinds and names only (I10); nothing when there are none.
 */
export function putBack(stable: RevisionRecord | undefined, canary: RevisionRecord | undefined): string {
  const before = stable?.config?.objects ?? {}
  const after = canary?.config?.objects ?? {}
  const changed = Object.keys(before).filter((name) => after[name] !== undefined && after[name] !== before[name])
  if (changed.length === 0) {
    if (!isConfigOnly(stable, canary)) return ''
    changed.push('its ConfigMaps and Secrets')
  }
  return `; put back the content of ${changed.join(', ')}: pods of ${stable?.name} that start from now on read the new one`
}
