import { z } from 'zod'
import { commentKey, type Forge, ForgeFailure, type ForgePerson, type PullRequest } from './forge.ts'
import type { ForgeHttp } from './http.ts'

const user = z.object({ id: z.int(), username: z.string() })
const requestSchema = z.object({
  iid: z.int(),
  web_url: z.string(),
  title: z.string(),
  description: z.string().nullish(),
  state: z.string(),
  source_branch: z.string(),
  target_branch: z.string(),
  source_project_id: z.int().nullish(),
  target_project_id: z.int().nullish(),
  sha: z.string().nullish(),
  merge_commit_sha: z.string().nullish(),
  squash_commit_sha: z.string().nullish(),
  labels: z.array(z.string()).nullish(),
  author: user.nullish(),
})
const detail = z.object({
  merge_user: user.nullish(),
  merged_by: user.nullish(),
  merged_at: z.string().nullish(),
  closed_by: user.nullish(),
  closed_at: z.string().nullish(),
})
const approvalsSchema = z.object({
  approved_by: z.array(z.object({ user, approved_at: z.string().nullish() })).default([]),
})
const version = z.object({ head_commit_sha: z.string().nullish(), created_at: z.string() })
const note = z.object({
  body: z.string().nullish(),
  system: z.boolean().nullish(),
  author: user.nullish(),
  created_at: z.string().nullish(),
})

/**
 * GitLab, on its own site or anybody's, by its REST API (https://docs.gitlab.com/api/merge_requests/).
 * `project` is the whole path, with all its groups.
 */
export function gitLab(http: ForgeHttp, project: string): Forge {
  const at = `/projects/${encodeURIComponent(project)}/merge_requests`
  const people = new Map<number, ForgePerson>()
  const ids = new Map<string, number>()

  async function person(found: z.output<typeof user>): Promise<ForgePerson> {
    const known = people.get(found.id)
    if (known) return known
    const profile = await http.look(`/users/${found.id}`)
    const { bot, public_email: email } = z
      .object({ bot: z.boolean().nullish(), public_email: z.string().nullish() })
      .catch({})
      .parse(profile ?? {})
    const login = found.username
    // Tokens of projects and groups act as such users, whose profile older versions do not mark.
    const isBot = bot === true || /^(project|group)_\d+_bot(_|$)/.test(login) || login === 'ghost'
    const made: ForgePerson = { login, bot: isBot, ...(email ? { email } : {}) }
    people.set(found.id, made)
    ids.set(login, found.id)
    return made
  }

  /** Approvals belong to the request, not to a commit: only those given after its newest commit had come are for that commit. */
  async function approvalsOf(pull: PullRequest): Promise<{ by: ForgePerson; at: number }[]> {
    const { approved_by } = parsed(approvalsSchema, await http.call('GET', `${at}/${pull.number}/approvals`))
    if (approved_by.length === 0) return []
    const versions = (await http.all(`${at}/${pull.number}/versions?`)).map((item) => parsed(version, item))
    const since = Math.max(0, ...versions.map((each) => time(each.created_at)))
    const newest = versions.find((each) => time(each.created_at) === since)
    if (versions.length === 0 || newest?.head_commit_sha !== pull.head) return []
    const undated = approved_by.some((each) => !each.approved_at)
    const notes = undated ? await notesOf(pull) : []
    const approvals = []
    for (const each of approved_by) {
      // Servers before 18.5 tell the time only in the note that they write.
      const noted = notes.filter(
        (n) => n.system && n.author?.id === each.user.id && /^approved this/.test(n.body ?? ''),
      )
      const moment = each.approved_at ? time(each.approved_at) : Math.max(0, ...noted.map((n) => time(n.created_at)))
      if (moment >= since) approvals.push({ by: await person(each.user), at: moment })
    }
    return approvals
  }

  async function notesOf(pull: PullRequest): Promise<z.output<typeof note>[]> {
    return (await http.all(`${at}/${pull.number}/notes?sort=desc`)).map((item) => parsed(note, item))
  }

  async function idOf(login: string): Promise<number | undefined> {
    if (!ids.has(login)) {
      const found = z.array(user).safeParse(await http.call('GET', `/users?username=${encodeURIComponent(login)}`))
      for (const each of found.data ?? []) ids.set(each.username, each.id)
    }
    return ids.get(login)
  }

  return {
    id: `gitlab:${project}`,

    async find(branch) {
      const query = new URLSearchParams({ source_branch: branch, state: 'all', order_by: 'created_at', sort: 'desc' })
      const found = (await http.all(`${at}?${query}`)).map((item) => parsed(requestSchema, item))
      return found
        .filter((item) => item.source_branch === branch && item.source_project_id === item.target_project_id)
        .map(pullOf)
        .sort((a, b) => b.number - a.number)
    },

    async open(branch, base, { title, body, labels }) {
      const draft = { source_branch: branch, target_branch: base, title, description: body, labels: labels.join(',') }
      return pullOf(parsed(requestSchema, await http.call('POST', at, draft)))
    },

    async update(pull, { title, body, labels }) {
      const missing = labels.filter((label) => !pull.labels.includes(label))
      if (pull.title === title && pull.body === body && missing.length === 0) return
      const more = missing.length > 0 ? { add_labels: missing.join(',') } : {}
      await http.call('PUT', `${at}/${pull.number}`, { title, description: body, ...more })
    },

    async close(pull, body) {
      await http.call('PUT', `${at}/${pull.number}`, { state_event: 'close', description: body })
    },

    async say(pull, key, text) {
      const marker = commentKey(key)
      if ((await notesOf(pull)).some((each) => each.body?.includes(marker))) return
      await http.call('POST', `${at}/${pull.number}/notes`, { body: `${text}\n\n${marker}` })
    },

    async verdicts(pull) {
      const approvals = await approvalsOf(pull)
      if (pull.state === 'open') return { approvals }
      const found = parsed(detail, await http.call('GET', `${at}/${pull.number}`))
      if (pull.state === 'merged') {
        const by = found.merge_user ?? found.merged_by
        return { approvals, merged: { ...(by ? { by: await person(by) } : {}), at: time(found.merged_at) } }
      }
      const by = found.closed_by
      return { approvals, closed: { ...(by ? { by: await person(by) } : {}), at: time(found.closed_at) } }
    },

    async isMember(group, login) {
      const id = await idOf(login)
      if (id === undefined) return false
      const found = await http.look(`/groups/${encodeURIComponent(group)}/members/all/${id}`)
      const member = z.object({ state: z.string().nullish(), access_level: z.int() }).safeParse(found)
      return member.success && member.data.access_level > 0 && (member.data.state ?? 'active') === 'active'
    },
  }
}

function pullOf(item: z.output<typeof requestSchema>): PullRequest {
  const merged = item.state === 'merged'
  // A fast-forward makes no commit of its own: then the branch's newest is the one that arrived.
  const arrived = item.merge_commit_sha ?? item.squash_commit_sha ?? item.sha
  return {
    number: item.iid,
    reference: `!${item.iid}`,
    url: item.web_url,
    title: item.title,
    body: (item.description ?? '').replaceAll('\r\n', '\n'),
    // `locked` is a merge under way.
    state: merged ? 'merged' : item.state === 'closed' ? 'closed' : 'open',
    branch: item.source_branch,
    base: item.target_branch,
    head: item.sha ?? '',
    labels: item.labels ?? [],
    author: item.author?.username ?? '',
    ...(merged && arrived ? { mergedAs: arrived } : {}),
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const message = `GitLab answers in a way that is not understood: ${result.error.issues[0]?.path.join('.')} ${result.error.issues[0]?.message}`
  throw new ForgeFailure({ reason: 'ForgeUnreachable', message }, { transient: true, cause: result.error })
}

function time(text: string | null | undefined): number {
  return Date.parse(text ?? '') || 0
}
