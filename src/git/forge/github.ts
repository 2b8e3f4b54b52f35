import { z } from 'zod'
import { commentKey, type Forge, ForgeFailure, type ForgePerson, type PullRequest } from './forge.ts'
import type { ForgeHttp } from './http.ts'

const user = z.object({ login: z.string(), type: z.string().optional() })
const repo = z.object({ full_name: z.string() }).nullish()
const pullSchema = z.object({
  number: z.int(),
  html_url: z.string(),
  title: z.string(),
  body: z.string().nullish(),
  state: z.string(),
  merged_at: z.string().nullish(),
  merge_commit_sha: z.string().nullish(),
  head: z.object({ ref: z.string(), sha: z.string(), repo }),
  base: z.object({ ref: z.string(), repo }),
  labels: z.array(z.object({ name: z.string() })).nullish(),
  user: user.nullish(),
})
const detail = z.object({ merged_by: user.nullish(), merged_at: z.string().nullish() })
const issue = z.object({ closed_by: user.nullish(), closed_at: z.string().nullish() })
const review = z.object({
  user: user.nullish(),
  state: z.string(),
  commit_id: z.string().nullish(),
  submitted_at: z.string().nullish(),
})
const comment = z.object({ body: z.string().nullish() })

/**
 * GitHub and GitHub Enterprise Server, by their REST API (https://docs.github.com/rest/pulls).
 * `repository` is `owner/name`.
 */
export function gitHub(http: ForgeHttp, repository: string): Forge {
  const [owner] = repository.split('/')
  const at = `/repos/${repository.split('/').map(encodeURIComponent).join('/')}`
  const people = new Map<string, ForgePerson>()

  async function person(found: z.output<typeof user>): Promise<ForgePerson> {
    const { login } = found
    const known = people.get(login)
    if (known) return known
    const bot = found.type === 'Bot' || login.endsWith('[bot]')
    const profile = bot ? undefined : await http.look(`/users/${encodeURIComponent(login)}`)
    const { email } = z
      .object({ email: z.string().nullish() })
      .catch({})
      .parse(profile ?? {})
    const made: ForgePerson = { login, bot, ...(email ? { email } : {}) }
    people.set(login, made)
    return made
  }

  return {
    id: `github:${repository}`,

    async find(branch) {
      const query = new URLSearchParams({
        head: `${owner}:${branch}`,
        state: 'all',
        sort: 'created',
        direction: 'desc',
      })
      const found = (await http.all(`${at}/pulls?${query}`)).map((item) => parsed(pullSchema, item))
      // A fork by the same owner may have a branch of the same name.
      const own = found.filter(({ head, base }) => head.ref === branch && head.repo?.full_name === base.repo?.full_name)
      return own.map(pullOf).sort((a, b) => b.number - a.number)
    },

    async open(branch, base, { title, body, labels }) {
      const pull = pullOf(
        parsed(pullSchema, await http.call('POST', `${at}/pulls`, { title, body, head: branch, base })),
      )
      if (labels.length > 0) await http.call('POST', `${at}/issues/${pull.number}/labels`, { labels })
      return { ...pull, labels }
    },

    async update(pull, { title, body, labels }) {
      if (pull.title !== title || pull.body !== body)
        await http.call('PATCH', `${at}/pulls/${pull.number}`, { title, body })
      const missing = labels.filter((label) => !pull.labels.includes(label))
      if (missing.length > 0) await http.call('POST', `${at}/issues/${pull.number}/labels`, { labels: missing })
    },

    async close(pull, body) {
      await http.call('PATCH', `${at}/pulls/${pull.number}`, { state: 'closed', body })
    },

    async say(pull, key, text) {
      const marker = commentKey(key)
      const said = await http.all(`${at}/issues/${pull.number}/comments?sort=created`)
      if (said.some((item) => comment.catch({}).parse(item).body?.includes(marker))) return
      await http.call('POST', `${at}/issues/${pull.number}/comments`, { body: `${text}\n\n${marker}` })
    },

    async verdicts(pull) {
      const reviews = (await http.all(`${at}/pulls/${pull.number}/reviews?`)).map((item) => parsed(review, item))
      // The last word of each reviewer counts; remarks without a verdict take nothing back.
      const last = new Map<string, z.output<typeof review>>()
      for (const each of reviews)
        if (each.user && ['APPROVED', 'CHANGES_REQUESTED', 'DISMISSED'].includes(each.state))
          last.set(each.user.login, each)
      const approvals = []
      for (const each of last.values())
        if (each.state === 'APPROVED' && each.commit_id === pull.head && each.user)
          approvals.push({ by: await person(each.user), at: time(each.submitted_at) })
      if (pull.state === 'open') return { approvals }
      if (pull.state === 'merged') {
        const { merged_by: by, merged_at } = parsed(detail, await http.call('GET', `${at}/pulls/${pull.number}`))
        return { approvals, merged: { ...(by ? { by: await person(by) } : {}), at: time(merged_at) } }
      }
      const { closed_by: by, closed_at } = parsed(issue, await http.call('GET', `${at}/issues/${pull.number}`))
      return { approvals, closed: { ...(by ? { by: await person(by) } : {}), at: time(closed_at) } }
    },

    async isMember(group, login) {
      const [org = '', team = '', ...rest] = group.split('/').map(encodeURIComponent)
      if (team === '' || rest.length > 0) return false
      const found = await http.look(`/orgs/${org}/teams/${team}/memberships/${encodeURIComponent(login)}`)
      return z.object({ state: z.string() }).safeParse(found).data?.state === 'active'
    },
  }
}

function pullOf(pull: z.output<typeof pullSchema>): PullRequest {
  const merged = Boolean(pull.merged_at)
  return {
    number: pull.number,
    reference: `#${pull.number}`,
    url: pull.html_url,
    title: pull.title,
    body: (pull.body ?? '').replaceAll('\r\n', '\n'),
    state: merged ? 'merged' : pull.state === 'open' ? 'open' : 'closed',
    branch: pull.head.ref,
    base: pull.base.ref,
    head: pull.head.sha,
    labels: (pull.labels ?? []).map(({ name }) => name),
    author: pull.user?.login ?? '',
    // Before the merge it names a trial merge that is nowhere on the branch.
    ...(merged && pull.merge_commit_sha ? { mergedAs: pull.merge_commit_sha } : {}),
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const message = `GitHub answers in a way that is not understood: ${result.error.issues[0]?.path.join('.')} ${result.error.issues[0]?.message}`
  throw new ForgeFailure({ reason: 'ForgeUnreachable', message }, { transient: true, cause: result.error })
}

function time(text: string | null | undefined): number {
  return Date.parse(text ?? '') || 0
}
