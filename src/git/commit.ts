import { oneLine } from './trailers.ts'

/** One commit as the log tells it. */
export interface Commit {
  sha: string
  parents: string[]
  author: { name: string; email: string }
  /** Who made this very commit: somebody else than the author after an amendment or a rebase. */
  committer: { name: string; email: string }
  /** Author and committer time, epoch ms. */
  authoredAt: number
  committedAt: number
  /** The whole message, as written. */
  message: string
}

/** For `git log -z`: fields that cannot contain NUL, separated by it. */
export const logFormat = '--format=%H%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%at%x00%ct%x00%B'

const fieldCount = 9

/** Reads what `git log -z` prints in `logFormat`. */
export function parseLog(output: string): Commit[] {
  const fields = output.split('\0')
  const commits: Commit[] = []
  for (let i = 0; i + fieldCount <= fields.length; i += fieldCount) {
    const [sha, parents, name, email, byName, byEmail, authored, committed, message] = fields.slice(i, i + fieldCount)
    commits.push({
      sha: sha!.trim(),
      parents: parents!.split(' ').filter((parent) => parent !== ''),
      author: { name: name!, email: email! },
      committer: { name: byName!, email: byEmail! },
      authoredAt: Number(authored) * 1000,
      committedAt: Number(committed) * 1000,
      message: message!,
    })
  }
  return commits
}

/** `Dana <dana@example.com>`: how people are named in status, conflicts and commits. */
export function authorOf(commit: Commit): string {
  return `${commit.author.name} <${commit.author.email}>`
}

/**
 * Everybody whom a commit names as having made it: its author, and those of its `Co-authored-by` trailers, which forges write when they
 * squash the commits of several people. All of it is what the committer says; whoever may push may write another's name.
 */
export function authorsOf(commit: Commit): string {
  const { author, message } = commit
  const others = [...message.matchAll(/^co-authored-by:([^<>\n]{0,200})<([^<>\s]*)>[ \t]*$/gim)]
  const named = others.slice(0, 5).map(([, name = '', email = '']) => ({ name, email }))
  return [...new Set([author, ...named].map(brief))].join(', ')
}

/** A name is cut where it is too long for any record; an address is not, for it would be another one. */
function brief({ name, email }: Author): string {
  return `${oneLine(name).slice(0, 80).toWellFormed()} <${email.length > 160 ? '' : email}>`.trim()
}

export interface Author {
  name: string
  email: string
}

/** A commit to be made: whole files, by path; everything else of the parent's tree stays. */
export interface Draft {
  message: string
  author: Author
  /** When it was decided and when it is committed, epoch ms. */
  decidedAt: number
  at: number
  files: { path: string; content: Buffer; mode: string }[]
}

/**
 * The input of `git fast-import` that makes `drafts` one after the other on top of `parent` and answers
 * with their object names, one line each. https://git-scm.com/docs/git-fast-import#_input_format
 */
export function fastImport(ref: string, parent: string, drafts: Draft[]): Buffer {
  const parts: (Buffer | string)[] = ['feature done\n']
  drafts.forEach((draft, i) => {
    const who = `${plain(draft.author.name) || 'Sluice'} <${plain(draft.author.email)}>`
    const message = Buffer.from(draft.message, 'utf8')
    parts.push(
      `commit ${ref}\nmark :${i + 1}\nauthor ${who} ${time(draft.decidedAt)}\ncommitter ${who} ${time(draft.at)}\n`,
    )
    parts.push(`data ${message.length}\n`, message, `\nfrom ${i === 0 ? parent : `:${i}`}\n`)
    for (const file of draft.files) {
      parts.push(`M ${file.mode} inline ${quoted(file.path)}\ndata ${file.content.length}\n`, file.content, '\n')
    }
    parts.push(`\nget-mark :${i + 1}\n`)
  })
  parts.push('done\n')
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part)))
}

function time(ms: number): string {
  return `${Math.max(0, Math.floor(ms / 1000))} +0000`
}

function plain(text: string): string {
  return text.replace(/[<>\u0000-\u001f\u007f]+/g, ' ').trim()
}

function quoted(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
