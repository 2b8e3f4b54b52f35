import { type Problem, SluiceError } from '../errors.ts'
import { createBlobCache } from './blob-cache.ts'
import { type Clone, RepositoryDamaged } from './clone.ts'
import { parseBatch, parseTreeObject } from './plumbing.ts'

/** Contents of files, of which a partial clone has those that somebody has asked for. */
export interface Objects {
  /** Sizes in bytes, in the order of `shas`; what is not here is brought first, all of it at once. */
  sizes(shas: string[]): Promise<number[]>
  /** Contents, in the order of `shas`. Throws SluiceError when one is too large, or cannot be brought. */
  contents(shas: string[]): Promise<Buffer[]>
  /** One file at several commits; undefined where there is no such regular file, or it is too large. */
  versions(path: string, commits: string[]): Promise<({ sha: string; content: Buffer } | undefined)[]>
  /** Forgets which files are here. */
  reset(): void
}

/** Largest file that is read; a manifest is a few kilobytes, and etcd takes 1.5 MiB. */
export const largestFile = 4 * 1024 * 1024

const cacheBytes = 32 * 1024 * 1024
/** Bytes that one command gives out. */
const readAtOnce = 16 * 1024 * 1024
const sizesKept = 100_000

/** `bring` fetches contents that are missing, in one exchange. */
export function openObjects(clone: Clone, bring: (shas: string[]) => Promise<void>): Objects {
  const blobs = createBlobCache(cacheBytes)
  const known = new Map<string, number>()

  async function check(shas: string[]): Promise<string[]> {
    const format = '--batch-check=%(objectname) %(objectsize)'
    const output = await clone.read(['cat-file', format], { input: `${shas.join('\n')}\n`, timeoutMs: 120_000 })
    const missing: string[] = []
    for (const line of output.toString('utf8').split('\n')) {
      const [sha = '', size = ''] = line.split(' ')
      if (/^\d+$/.test(size)) known.set(sha, Number(size))
      else if (sha !== '') missing.push(sha)
    }
    return missing
  }

  async function sizes(shas: string[]): Promise<number[]> {
    if (known.size > sizesKept) known.clear()
    const unknown = [...new Set(shas)].filter((sha) => !known.has(sha))
    const missing = unknown.length > 0 ? await check(unknown) : []
    if (missing.length > 0) {
      await bring(missing)
      const [lost] = await check(missing)
      if (lost !== undefined) {
        clone.discard()
        throw new RepositoryDamaged(`the clone of ${clone.url} has lost the file ${lost}`)
      }
    }
    return shas.map((sha) => known.get(sha)!)
  }

  async function read(shas: string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>()
    for (const part of parts(shas, (sha) => known.get(sha)!)) {
      const output = await clone.read(['cat-file', '--batch'], { input: `${part.join('\n')}\n`, timeoutMs: 120_000 })
      for (const { sha, content } of parseBatch(output)) if (content) found.set(sha, content)
    }
    return found
  }

  async function contents(shas: string[]): Promise<Buffer[]> {
    const wanted = [...new Set(shas)].filter((sha) => blobs.get(sha) === undefined)
    const large = (await sizes(wanted)).findIndex((size) => size > largestFile)
    if (large >= 0) throw new SluiceError(tooLarge(known.get(wanted[large]!)!))
    const fresh = await read(wanted)
    const lost = wanted.filter((sha) => !fresh.has(sha))
    if (lost.length > 0) {
      // They were here, and somebody has damaged the clone, or it was made anew.
      for (const sha of lost) known.delete(sha)
      await sizes(lost)
      for (const [sha, content] of await read(lost)) fresh.set(sha, content)
    }
    return shas.map((sha) => {
      const content = fresh.get(sha) ?? blobs.get(sha)
      if (content === undefined) {
        clone.discard()
        throw new RepositoryDamaged(`the clone of ${clone.url} has lost the file ${sha}`)
      }
      blobs.set(sha, content)
      return content
    })
  }

  return {
    sizes,
    contents,
    reset: () => known.clear(),
    async versions(path, commits) {
      if (commits.length === 0 || path.includes('\n')) return commits.map(() => undefined)
      const at = path.lastIndexOf('/')
      const [folder, name] = at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)]
      const input = commits.map((commit) => `${commit}:${folder}\n`).join('')
      const output = await clone.read(['cat-file', '--batch'], { input, timeoutMs: 120_000 })
      const shas = [...parseBatch(output)].map(({ type, content }) => {
        const entry = type === 'tree' && content ? parseTreeObject(content, name) : undefined
        return entry?.mode.startsWith('100') ? entry.sha : undefined
      })
      const present = shas.filter((sha) => sha !== undefined)
      const size = new Map((await sizes(present)).map((bytes, i) => [present[i]!, bytes]))
      const readable = present.filter((sha) => size.get(sha)! <= largestFile)
      const read = new Map((await contents(readable)).map((content, i) => [readable[i]!, content]))
      return shas.map((sha) => {
        const content = sha === undefined ? undefined : read.get(sha)
        return sha !== undefined && content ? { sha, content } : undefined
      })
    },
  }
}

/** A file that is not read, because of its size. */
export function tooLarge(bytes: number, file?: string): Problem {
  const megabytes = (bytes / (1024 * 1024)).toFixed(1)
  return {
    reason: 'ManifestInvalid',
    message: `is ${megabytes} MiB large; files of more than ${largestFile / (1024 * 1024)} MiB are not read`,
    file,
  }
}

function* parts(shas: string[], sizeOf: (sha: string) => number): Generator<string[]> {
  let part: string[] = []
  let bytes = 0
  for (const sha of shas) {
    if (part.length > 0 && bytes + sizeOf(sha) > readAtOnce) {
      yield part
      part = []
      bytes = 0
    }
    part.push(sha)
    bytes += sizeOf(sha)
  }
  if (part.length > 0) yield part
}
