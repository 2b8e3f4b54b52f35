/** Reads a file of the repository at one commit; undefined where there is none. */
type Read = (path: string) => Promise<Buffer | undefined>

/** Files at one commit. */
export interface Versions {
  read: Read
  /** A word that differs for every content of a file; undefined where there is none. */
  versionAt(path: string): Promise<string | undefined>
}

/**
 * What was made of files, kept as long as none of them changes, from commit to commit. The one used least recently leaves first; a few
 * states of one thing stay side by side, as a commit that is prepared and the tip are asked about in turns.
 */
export interface Remembered {
  /**
   * What `make` makes of the files that it reads and of nothing else; made again when one of them is another, appears or is gone. `size`
   * counts what is kept. Keys are chosen so that one stands for one type.
   */
  of<T>(key: string, files: Versions, make: (read: Read) => Promise<T>, size: (made: T) => number): Promise<T>
}

interface Entry {
  key: string
  /** Version of each file that was read, and of each that was looked for in vain. */
  versions: ReadonlyMap<string, string | undefined>
  made: unknown
  size: number
}

/** States of one thing. */
const statesKept = 3

/** Keeps things whose sizes are at most `limit` together. */
export function createRemembered(limit: number): Remembered {
  const entries = new Set<Entry>()
  const byKey = new Map<string, Entry[]>()
  let total = 0

  async function isCurrent({ versions }: Entry, files: Versions): Promise<boolean> {
    for (const [path, version] of versions) if ((await files.versionAt(path)) !== version) return false
    return true
  }

  function drop(entry: Entry): void {
    if (!entries.delete(entry)) return
    total -= entry.size
    const left = (byKey.get(entry.key) ?? []).filter((other) => other !== entry)
    if (left.length === 0) byKey.delete(entry.key)
    else byKey.set(entry.key, left)
  }

  function keep(entry: Entry): void {
    const states = [entry, ...(byKey.get(entry.key) ?? [])]
    for (const old of states.slice(statesKept)) drop(old)
    byKey.set(entry.key, states.slice(0, statesKept))
    entries.add(entry)
    total += entry.size
    for (const oldest of entries) {
      if (total <= limit) return
      drop(oldest)
    }
  }

  return {
    async of<T>(key: string, files: Versions, make: (read: Read) => Promise<T>, size: (made: T) => number) {
      for (const entry of byKey.get(key) ?? []) {
        if (!(await isCurrent(entry, files))) continue
        if (entries.delete(entry)) entries.add(entry)
        return entry.made as T
      }
      const versions = new Map<string, string | undefined>()
      const made = await make(async (path) => {
        if (!versions.has(path)) versions.set(path, await files.versionAt(path))
        return await files.read(path)
      })
      const entry = { key, versions, made, size: size(made) }
      if (entry.size <= limit) keep(entry)
      return made
    },
  }
}
