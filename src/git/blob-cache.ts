/** Contents of files by object name; the least recently used leave first. Object names are content hashes: nothing here goes stale. */
export interface BlobCache {
  get(sha: string): Buffer | undefined
  set(sha: string, content: Buffer): void
}

/** A cache that holds at most `limit` bytes. */
export function createBlobCache(limit: number): BlobCache {
  const contents = new Map<string, Buffer>()
  let size = 0
  return {
    get(sha) {
      const content = contents.get(sha)
      if (content === undefined) return undefined
      contents.delete(sha)
      contents.set(sha, content)
      return content
    },
    set(sha, content) {
      if (contents.has(sha) || content.length > limit) return
      contents.set(sha, content)
      size += content.length
      for (const [oldest, old] of contents) {
        if (size <= limit) break
        contents.delete(oldest)
        size -= old.length
      }
    },
  }
}
