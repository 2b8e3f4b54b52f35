/** Two first-in-first-out lanes of distinct keys. */
export interface Lanes {
  /** True when the key was not waiting yet. A routine key added as urgent changes lanes; never the other way. */
  add(key: string, urgent: boolean): boolean
  /** The next key: urgent ones first, but after `share` urgent ones in a row a waiting routine key has its turn. */
  take(allow: 'both' | 'urgent'): { key: string; urgent: boolean } | undefined
  has(key: string): boolean
  readonly size: number
  clear(): void
}

export function createLanes(share: number): Lanes {
  const urgent = new Set<string>()
  const routine = new Set<string>()
  let inARow = 0

  function first(lane: Set<string>): string | undefined {
    for (const key of lane) {
      lane.delete(key)
      return key
    }
    return undefined
  }

  return {
    add(key, isUrgent) {
      if (urgent.has(key)) return false
      if (!isUrgent) {
        if (routine.has(key)) return false
        routine.add(key)
        return true
      }
      const fresh = !routine.delete(key)
      urgent.add(key)
      return fresh
    },
    take(allow) {
      const routineTurn = allow === 'both' && routine.size > 0 && (urgent.size === 0 || inARow >= share)
      const key = routineTurn ? first(routine) : first(urgent)
      if (key === undefined) return undefined
      inARow = routineTurn ? 0 : inARow + 1
      return { key, urgent: !routineTurn }
    },
    has: (key) => urgent.has(key) || routine.has(key),
    get size() {
      return urgent.size + routine.size
    },
    clear() {
      urgent.clear()
      routine.clear()
    },
  }
}
