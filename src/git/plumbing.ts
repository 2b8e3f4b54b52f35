/** One file of a tree. */
export interface TreeEntry {
  path: string
  sha: string
  /** 100644, 100755, 120000 (symbolic link), 160000 (submodule). */
  mode: string
}

/** The rules of git check-ref-format that keep a branch name from being anything else. */
export function isBranchName(branch: string): boolean {
  return (
    !/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|\.lock(\/|$)|(^|\/)\./.test(branch) &&
    !/^[-/]|[/.]$/.test(branch) &&
    branch !== '@'
  )
}

/** Entries of `git ls-tree -r -z`; submodules among them, folders not. */
export function parseTree(output: string): TreeEntry[] {
  const entries: TreeEntry[] = []
  for (const line of output.split('\0')) {
    const match = /^(\d+) (\w+) ([0-9a-f]+)\t([\s\S]*)$/.exec(line)
    if (match && match[2] !== 'tree') entries.push({ mode: match[1]!, sha: match[3]!, path: match[4]! })
  }
  return entries
}

/** Answers of `git cat-file --batch`, in order; no content where the object is missing. */
export function* parseBatch(output: Buffer): Generator<{ sha: string; type?: string; content?: Buffer }> {
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(10, at)
    const header = output.toString('utf8', at, end)
    const found = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(header)
    at = end + 1
    if (!found) {
      yield { sha: header }
      continue
    }
    const size = Number(found[3])
    yield { sha: found[1]!, type: found[2]!, content: Buffer.from(output.subarray(at, at + size)) }
    at += size + 1
  }
}

/** One entry of a tree object: mode, space, name, NUL, 20 bytes, again and again. */
export function parseTreeObject(tree: Buffer, name: string): { mode: string; sha: string } | undefined {
  const wanted = Buffer.from(name, 'utf8')
  for (let at = 0; at < tree.length; ) {
    const space = tree.indexOf(32, at)
    const end = tree.indexOf(0, space)
    if (tree.subarray(space + 1, end).equals(wanted)) {
      const mode = tree.toString('latin1', at, space).padStart(6, '0')
      return { mode, sha: tree.toString('hex', end + 1, end + 21) }
    }
    at = end + 21
  }
  return undefined
}
