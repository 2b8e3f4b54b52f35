import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiServer, FaultTarget } from '../../src/sandbox/apiserver/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'

/** Where to die. `Before`: the request is on its way and is never served. `After`: it was served, and nobody hears the answer. */
export interface Boundary {
  /** The how manieth write, from 1. */
  n: number
  when: 'Before' | 'After'
}

const writes = new Set(['create', 'update', 'patch', 'delete'])

/** The name of a boundary: `patch virtualservices, before it is served`. */
function nameOf({ verb, resource, subresource }: FaultTarget, when: Boundary['when']): string {
  const what = subresource ? `${resource}/${subresource}` : resource
  return `${verb} ${what}, ${when === 'Before' ? 'before it is served' : 'before it is answered'}`
}

/** Kills at the n-th write that a controller sends about a namespace, whatever it is, until it is removed. */
export function trapWrite(
  api: ApiServer,
  namespace: string,
  { n, when }: Boundary,
  kill: (when: string) => void,
): () => void {
  let seen = 0
  const after = when === 'After'
  let waiting: FaultTarget | undefined
  const match = (target: FaultTarget): boolean => {
    if (target.namespace !== namespace || !writes.has(target.verb) || applied.has(target.resource)) return false
    if (++seen !== n) return false
    if (after) waiting = target
    else kill(nameOf(target, when))
    return true
  }
  const removeFault = api.faults.add({
    user: CONTROLLER_USER,
    match,
    ...(after ? { resetAfter: true } : { stall: true }),
  })
  const removeListener = api.onRequest((record) => {
    if (!waiting || record.path !== waiting.path || record.verb !== waiting.verb) return
    kill(nameOf(waiting, when))
    waiting = undefined
  })
  return () => {
    removeFault()
    removeListener()
  }
}

/** What is only applied from Git: every process writes it when it starts, and little can go wrong with it. */
const applied = new Set(['deployments', 'services', 'configmaps', 'destinationrules'])

/**
 * Kills at a random one of the first writes that each process makes, until it is removed; leases are not counted, and few of what is
 * only applied.
 */
export function trapEveryLife(api: ApiServer, kill: (when: string) => void, random: () => number): () => void {
  const draw = () => 1 + Math.floor(random() * 14)
  let left = draw()
  let waiting: FaultTarget | undefined
  const meets = (target: FaultTarget): boolean => {
    if (!writes.has(target.verb) || target.resource === 'leases') return false
    if (applied.has(target.resource) && random() < 0.9) return false
    left--
    return left === 0
  }
  const dies = (target: FaultTarget, when: Boundary['when']) => {
    left = draw()
    kill(nameOf(target, when))
  }
  const removeFault = api.faults.add({
    user: CONTROLLER_USER,
    resetAfter: true,
    match(target) {
      if (!meets(target)) return false
      if (random() < 0.5) {
        // On its way, and never served: the client is dead before the server reads on.
        dies(target, 'Before')
        throw new Error('the client died on the way')
      }
      waiting = target
      return true
    },
  })
  const removeListener = api.onRequest((record) => {
    if (!waiting || record.path !== waiting.path || record.verb !== waiting.verb) return
    dies(waiting, 'After')
    waiting = undefined
  })
  return () => {
    removeFault()
    removeListener()
  }
}

/**
 * Kills at the n-th push over HTTP, from the hooks of the remote: first before the branch has moved, then, at the n-th that moves
 * it, before the pusher hears of it. A push of a developer, over file://, is not counted.
 * @param pidFile names the processes that die
 */
export function trapPush(remote: string, pidFile: string, n: number, when: readonly Boundary['when'][]): void {
  for (const each of when) {
    const hook = join(remote, 'hooks', each === 'Before' ? 'update' : 'post-receive')
    const script = `#!/bin/sh
[ -n "$REMOTE_USER" ] || exit 0
echo x >> pushes-${each}
[ "$(wc -l < pushes-${each})" -eq ${n} ] || exit 0
echo 'push, ${each === 'Before' ? 'before the branch moves' : 'before it is answered'}' > '${pidFile}.why'
kill -9 $(cat '${pidFile}')
${each === 'Before' ? 'exit 1' : ''}
`
    writeFileSync(hook, script)
    chmodSync(hook, 0o755)
  }
}
