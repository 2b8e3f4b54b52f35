import { execFileSync } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, dirname } from 'node:path'
import { gitHttpBackend } from '../../../src/sandbox/git/cgi.ts'

/** Somebody with an account. */
export interface FakeUser {
  id: number
  login: string
  bot?: boolean
  email?: string
}

/** A pull request as the forge stores it. */
export interface FakePull {
  number: number
  title: string
  body: string
  branch: string
  base: string
  /** The branch's newest commit as long as it is open, the last one afterwards. */
  head: string
  state: 'open' | 'merged' | 'closed'
  labels: string[]
  /** The repository of its branch, where that is another. */
  fork?: string
  author: FakeUser
  mergedBy?: FakeUser
  closedBy?: FakeUser
  mergedAt?: string
  closedAt?: string
  mergeCommit?: string
  squashCommit?: string
  reviews: { user: FakeUser; state: string; commit: string; at: string }[]
  comments: { user: FakeUser; body: string; at: string }[]
  versions: { commit: string; at: string }[]
}

export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export type MergeMethod = 'merge' | 'squash' | 'rebase' | 'fast-forward'

/** A forge with one project, whose repository is a real one. People act on it through the functions below. */
export interface FakeForge {
  /** Base of its API, and where git finds the repository. */
  url: string
  gitUrl: string
  token: string
  pulls: FakePull[]
  /** `team → logins` */
  groups: Map<string, string[]>
  user(login: string, more?: Partial<FakeUser>): FakeUser
  open(): FakePull[]
  merge(number: number, by: string, method?: MergeMethod, message?: string): string
  close(number: number, by: string): void
  reopen(number: number): void
  review(number: number, by: string, state?: string): void
  /** Requests that were made, as `GET /path`. */
  requests: string[]
  faults: { down: boolean; answer: Answer | undefined; loseAnswers: number; garbled: string | undefined }
  stop(): Promise<void>
}

export interface ForgeState extends Omit<FakeForge, 'url' | 'gitUrl' | 'stop'> {
  self: FakeUser
  project: string
  site: string
  git(...args: string[]): string
  /** A branch's commit, or ''. */
  tip(branch: string): string
  now(): string
  create(pull: Pick<FakePull, 'title' | 'body' | 'branch' | 'base' | 'labels'>): FakePull
  find(number: number): FakePull | undefined
  say(pull: FakePull, body: string): void
  closeAsSelf(pull: FakePull): void
}

/** Answers one request of the API; undefined: there is no such thing. */
export type Api = (state: ForgeState, method: string, url: URL, body: Record<string, unknown>) => Answer | undefined

const clock = () => new Date().toISOString()

export async function startFakeForge(options: {
  api: Api
  /** The bare repository. */
  dir: string
  project: string
  base: string
  authorised: (headers: IncomingMessage['headers'], token: string) => boolean
}): Promise<FakeForge> {
  const { api, dir, project } = options
  const users = new Map<string, FakeUser>()
  const pulls: FakePull[] = []
  const faults: FakeForge['faults'] = { down: false, answer: undefined, loseAnswers: 0, garbled: undefined }
  const requests: string[] = []
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', dir, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'Forge',
        GIT_AUTHOR_EMAIL: 'noreply@forge.example.com',
        GIT_COMMITTER_NAME: 'Forge',
        GIT_COMMITTER_EMAIL: 'noreply@forge.example.com',
      },
    })
  const tip = (branch: string) => {
    try {
      return git('rev-parse', '--verify', '--quiet', `refs/heads/${branch}`).trim()
    } catch {
      return ''
    }
  }
  const user = (login: string, more: Partial<FakeUser> = {}): FakeUser => {
    const known = users.get(login) ?? { id: users.size + 1, login }
    Object.assign(known, more)
    users.set(login, known)
    return known
  }
  const state: ForgeState = {
    pulls,
    groups: new Map(),
    requests,
    faults,
    token: 'f0rge-t0ken',
    self: user('sluice-bot', { bot: true }),
    project,
    site: '',
    git,
    tip,
    user,
    now: clock,
    open: () => pulls.filter((pull) => pull.state === 'open'),
    find: (number) => pulls.find((pull) => pull.number === number),
    create(given) {
      const head = tip(given.branch)
      const pull: FakePull = {
        ...given,
        number: pulls.length + 1,
        head,
        state: 'open',
        author: state.self,
        reviews: [],
        comments: [],
        versions: [{ commit: head, at: clock() }],
      }
      pulls.push(pull)
      return pull
    },
    say(pull, body) {
      pull.comments.push({ user: state.self, body, at: clock() })
    },
    closeAsSelf(pull) {
      if (pull.state === 'open') Object.assign(pull, { state: 'closed', closedBy: state.self, closedAt: clock() })
    },
    merge(number, by, method = 'merge', message) {
      const pull = state.find(number)!
      refresh()
      if (pull.state !== 'open') throw new Error(`${number} is ${pull.state}`)
      const base = tip(pull.base)
      if (method === 'fast-forward') {
        git('merge-base', '--is-ancestor', base, pull.head)
        git('update-ref', `refs/heads/${pull.base}`, pull.head, base)
      } else {
        const tree = git('merge-tree', '--write-tree', base, pull.head).split('\n')[0]!
        const original = git('log', '--format=%B', '--reverse', `${base}..${pull.head}`)
        let made: string
        if (method === 'rebase') {
          const place = `${dir}-rebase-${number}`
          git('worktree', 'add', '--quiet', '--detach', place, base)
          git('-C', place, 'cherry-pick', '--keep-redundant-commits', `${base}..${pull.head}`)
          made = git('-C', place, 'rev-parse', 'HEAD').trim()
          git('worktree', 'remove', '--force', place)
        } else {
          const parents = method === 'merge' ? ['-p', base, '-p', pull.head] : ['-p', base]
          const words = message ?? (method === 'merge' ? `Merge pull request #${number}` : `${original.trimEnd()}\n`)
          made = git('commit-tree', tree, ...parents, '-m', words).trim()
        }
        git('update-ref', `refs/heads/${pull.base}`, made, base)
        if (method === 'squash') pull.squashCommit = made
        pull.mergeCommit = made
      }
      Object.assign(pull, { state: 'merged', mergedBy: user(by), mergedAt: clock() })
      return tip(pull.base)
    },
    close(number, by) {
      refresh()
      Object.assign(state.find(number)!, { state: 'closed', closedBy: user(by), closedAt: clock() })
    },
    reopen(number) {
      Object.assign(state.find(number)!, { state: 'open', closedBy: undefined, closedAt: undefined })
    },
    review(number, by, verdict = 'APPROVED') {
      refresh()
      const pull = state.find(number)!
      pull.reviews.push({ user: user(by), state: verdict, commit: pull.head, at: clock() })
    },
  }

  /** A push to a branch is news for its open pull request. A branch that is gone closes it, as on real forges. */
  function refresh(): void {
    for (const pull of pulls) {
      if (pull.state !== 'open') continue
      const head = tip(pull.branch)
      if (head === '') Object.assign(pull, { state: 'closed', closedBy: state.self, closedAt: clock() })
      else if (head !== pull.head) {
        pull.head = head
        pull.versions.push({ commit: head, at: clock() })
      }
    }
  }

  const server = createServer((request, response) => void answer(request, response))
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://forge')
    const method = request.method ?? 'GET'
    if (url.pathname.startsWith(`/${project}.git/`)) {
      if (faults.down) return void request.socket.destroy()
      request.url = `/${basename(dir)}${(request.url ?? '').slice(project.length + 5)}`
      return gitHttpBackend(request, response, {
        projectRoot: dirname(dir),
        user: 'git',
        environment: {},
        loseAnswer: false,
      })
    }
    requests.push(`${method} ${url.pathname}`)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (faults.down) return void request.socket.destroy()
    if (faults.garbled !== undefined) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(faults.garbled)
      return
    }
    const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString('utf8'))
    refresh()
    const reply =
      faults.answer ??
      (options.authorised(request.headers, state.token)
        ? (api(state, method, url, body) ?? { status: 404, body: { message: '404 Not Found' } })
        : { status: 401, body: { message: 'Bad credentials' } })
    if (method !== 'GET' && faults.loseAnswers > 0) {
      faults.loseAnswers -= 1
      return void request.socket.destroy()
    }
    response.writeHead(reply.status, { 'content-type': 'application/json; charset=utf-8', ...reply.headers })
    response.end(reply.body === undefined ? '' : JSON.stringify(reply.body))
  }
  // A forge lets the branches of its users be rebuilt; its own rules keep the others.
  git('config', 'receive.denyNonFastForwards', 'false')
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  state.site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(state, {
    url: `${state.site}${options.base}`,
    gitUrl: `${state.site}/${project}.git`,
    stop: () =>
      new Promise<void>((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  })
}

/** One page of a list, as both forges cut it. */
export function page<T>(url: URL, items: T[]): T[] {
  const size = Number(url.searchParams.get('per_page') ?? 20)
  const number = Number(url.searchParams.get('page') ?? 1)
  return items.slice((number - 1) * size, number * size)
}
