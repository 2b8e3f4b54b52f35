/** One file of a tree. */
export interface TreeEntry {
  path: string
  sha: string
  /** 100644, 100755, 120000 (symbolic link) … */
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

/** Files of `git ls-tree -r -z`; submodules are left out. */
export function parseTree(output: string): TreeEntry[] {
  const entries: TreeEntry[] = []
  for (const line of output.split('\0')) {
    const match = /^(\d+) (\w+) ([0-9a-f]+)\t([\s\S]*)$/.exec(line)
    if (match?.[2] === 'blob') entries.push({ mode: match[1]!, sha: match[3]!, path: match[4]! })
  }
  return entries
}

/** Answers of `git cat-file --batch`, in order; no content where the object is missing. */
export function* parseBatch(output: Buffer): Generator<{ sha: string; content?: Buffer }> {
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(10, at)
    const header = output.toString('utf8', at, end)
    const found = /^([0-9a-f]{40,64}) \w+ (\d+)$/.exec(header)
    at = end + 1
    if (!found) {
      yield { sha: header }
      continue
    }
    const size = Number(found[2])
    yield { sha: found[1]!, content: Buffer.from(output.subarray(at, at + size)) }
    at += size + 1
  }
}
