import {
  type Answer,
  type Api,
  type FakeForge,
  type FakePull,
  type FakeUser,
  page,
  startFakeForge,
} from './fake-forge.ts'

/** A GitHub with the few endpoints that matter, in the shapes of its REST API of 2022-11-28. */
export function startFakeGitHub(dir: string, project = 'shop/config'): Promise<FakeForge> {
  return startFakeForge({
    api,
    dir,
    project,
    base: '/api/v3',
    authorised: (headers, token) => headers.authorization === `Bearer ${token}`,
  })
}

const user = (one: FakeUser | undefined) => {
  if (!one) return null
  return { id: one.id, login: one.bot ? `${one.login}[bot]` : one.login, type: one.bot ? 'Bot' : 'User' }
}

const api: Api = (state, method, url, body) => {
  const path = url.pathname.replace(/^\/api\/v3/, '')
  const repo = `/repos/${state.project}`
  const json = (pull: FakePull, detailed = false) => ({
    number: pull.number,
    html_url: `${state.site}/${state.project}/pull/${pull.number}`,
    title: pull.title,
    body: pull.body === '' ? null : pull.body.replaceAll('\n', '\r\n'),
    state: pull.state === 'open' ? 'open' : 'closed',
    created_at: pull.versions[0]?.at,
    merged_at: pull.mergedAt ?? null,
    closed_at: pull.closedAt ?? pull.mergedAt ?? null,
    merge_commit_sha: pull.mergeCommit ?? (pull.state === 'open' ? '0'.repeat(40) : pull.head),
    head: {
      ref: pull.branch,
      sha: pull.head,
      label: `shop:${pull.branch}`,
      repo: { full_name: pull.fork ?? state.project },
    },
    base: { ref: pull.base, repo: { full_name: state.project } },
    labels: pull.labels.map((name, id) => ({ id, name })),
    user: user(pull.author),
    ...(detailed ? { merged: pull.state === 'merged', merged_by: user(pull.mergedBy) } : {}),
  })
  const refuse = (message: string, detail: string): Answer => {
    return { status: 422, body: { message, errors: [{ resource: 'PullRequest', code: 'custom', message: detail }] } }
  }

  if (path === `${repo}/pulls` && method === 'GET') {
    const [owner, branch] = (url.searchParams.get('head') ?? '').split(/:(.*)/)
    if (owner !== state.project.split('/')[0]) return { status: 200, body: [] }
    const found = state.pulls.filter((pull) => pull.branch === branch).reverse()
    return {
      status: 200,
      body: page(
        url,
        found.map((pull) => json(pull)),
      ),
    }
  }
  if (path === `${repo}/pulls` && method === 'POST') {
    const { title, head: branch, base } = body as Record<string, string>
    if (state.tip(branch!) === '') return refuse('Validation Failed', 'head is invalid')
    if (state.git('rev-list', `${base}..${branch}`) === '')
      return refuse('Validation Failed', `No commits between ${base} and ${branch}`)
    if (state.open().some((pull) => pull.branch === branch))
      return refuse('Validation Failed', `A pull request already exists for shop:${branch}.`)
    const made = state.create({
      title: title!,
      body: String(body.body ?? ''),
      branch: branch!,
      base: base!,
      labels: [],
    })
    return { status: 201, body: json(made, true) }
  }
  const team = /^\/orgs\/([^/]+)\/teams\/([^/]+)\/memberships\/([^/]+)$/.exec(path)
  if (team) {
    const members = state.groups.get(`${team[1]}/${team[2]}`) ?? []
    const role = members.includes(decodeURIComponent(team[3]!))
    return role ? { status: 200, body: { state: 'active', role: 'member' } } : undefined
  }
  const profile = /^\/users\/([^/]+)$/.exec(path)
  if (profile) {
    const one = state.user(decodeURIComponent(profile[1]!))
    return { status: 200, body: { ...user(one), email: one.email ?? null } }
  }
  const single = new RegExp(`^${repo}/(pulls|issues)/(\\d+)(?:/(\\w+))?$`).exec(path)
  const pull = single && state.find(Number(single[2]))
  if (!pull) return undefined
  const what = `${method} ${single[1]}/${single[3] ?? ''}`
  switch (what) {
    case 'GET pulls/':
      return { status: 200, body: json(pull, true) }
    case 'PATCH pulls/':
      if (typeof body.title === 'string') pull.title = body.title
      if (typeof body.body === 'string') pull.body = body.body
      if (body.state === 'closed') state.closeAsSelf(pull)
      return { status: 200, body: json(pull, true) }
    case 'GET pulls/reviews':
      return {
        status: 200,
        body: page(
          url,
          pull.reviews.map((each) => ({
            user: user(each.user),
            state: each.state,
            commit_id: each.commit,
            submitted_at: each.at,
          })),
        ),
      }
    case 'GET issues/':
      return {
        status: 200,
        body: { number: pull.number, closed_by: user(pull.closedBy), closed_at: pull.closedAt ?? null },
      }
    case 'POST issues/labels':
      pull.labels = [...new Set([...pull.labels, ...(body.labels as string[])])]
      return { status: 200, body: pull.labels.map((name) => ({ name })) }
    case 'GET issues/comments':
      return {
        status: 200,
        body: page(
          url,
          pull.comments.map((each) => ({ user: user(each.user), body: each.body })),
        ),
      }
    case 'POST issues/comments':
      state.say(pull, String(body.body))
      return { status: 201, body: {} }
    default:
      return undefined
  }
}
