import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiServer, FaultTarget } from '../../src/sandbox/apiserver/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'

/**
 * A place to die at. `Before`: the request is on its way and is never served. `After`: it was served, and nobody hears the
 * answer. `n` counts from 1.
 */
export type Boundary =
  | { kind: 'write'; n: number; when: 'Before' | 'After' }
  | { kind: 'push'; n: number; when: 'Before' | 'After' }

/** A boundary that waits for its moment. */
export interface Trap {
  /** Writes of the controller to the namespace that were counted so far, as `verb resource/subresource`. */
  seen: readonly string[]
  sprung(): boolean
  remove(): void
}

const writes = new Set(['create', 'update', 'patch', 'delete'])

/** Kills at the n-th write that a controller sends about a namespace from now on; without `n`, only counts them. */
export function trapWrite(
  api: ApiServer,
  namespace: string,
  boundary: { n: number; when: 'Before' | 'After' } | undefined,
  kill: () => void,
): Trap {
  const seen: string[] = []
  let waiting: FaultTarget | undefined
  let sprung = false
  const after = boundary?.when === 'After'
  const match = (target: FaultTarget): boolean => {
    if (sprung || target.namespace !== namespace || !writes.has(target.verb)) return false
    seen.push(`${target.verb} ${target.resource}${target.subresource ? `/${target.subresource}` : ''}`)
    if (seen.length !== boundary?.n) return false
    sprung = true
    if (after) waiting = target
    else kill()
    return true
  }
  const removeFault = api.faults.add({
    user: CONTROLLER_USER,
    match,
    count: 1,
    ...(after ? { resetAfter: true } : { stall: true }),
  })
  const removeListener = api.onRequest((record) => {
    if (!waiting || record.path !== waiting.path || record.verb !== waiting.verb) return
    waiting = undefined
    kill()
  })
  return {
    seen,
    sprung: () => sprung,
    remove() {
      removeFault()
      removeListener()
    },
  }
}

/**
 * Kills, from the hooks of a remote, at the n-th push that comes over HTTP. A push by a developer, over file://, is not counted.
 * @param pidFile names the processes that die
 */
export function trapPush(remote: string, pidFile: string, boundary: { n: number; when: 'Before' | 'After' }): void {
  const { n, when } = boundary
  const counted = `[ -n "$REMOTE_USER" ] || exit 0
echo x >> pushes
[ "$(wc -l < pushes)" -eq ${n} ] || exit 0
kill -9 $(cat '${pidFile}')
`
  const hook = join(remote, 'hooks', when === 'Before' ? 'update' : 'post-receive')
  writeFileSync(hook, `#!/bin/sh\n${counted}${when === 'Before' ? 'exit 1\n' : ''}`)
  chmodSync(hook, 0o755)
}
