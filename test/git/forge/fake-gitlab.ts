import { type Api, type FakeForge, type FakePull, type FakeUser, page, startFakeForge } from './fake-forge.ts'

/** A GitLab with the few endpoints that matter, in the shapes of its API v4; `dated: false` is one before 18.5. */
export function startFakeGitLab(dir: string, project = 'shop/delivery/config', dated = true): Promise<FakeForge> {
  return startFakeForge({
    api: api(dated),
    dir,
    project,
    base: '/api/v4',
    authorised: (headers, token) => headers['private-token'] === token,
  })
}

const user = (one: FakeUser | undefined) => one && { id: one.id, username: one.login, name: one.login, state: 'active' }

/** GitLab has no dismissal: the last word of everybody, and only approvals. */
function approvals(pull: FakePull) {
  const last = new Map(pull.reviews.map((each) => [each.user.login, each]))
  return [...last.values()].filter((each) => each.state === 'APPROVED')
}

const api =
  (dated: boolean): Api =>
  (state, method, url, body) => {
    const path = url.pathname.replace(/^\/api\/v4/, '')
    const project = `/projects/${encodeURIComponent(state.project)}/merge_requests`
    const json = (pull: FakePull) => ({
      id: 1000 + pull.number,
      iid: pull.number,
      web_url: `${state.site}/${state.project}/-/merge_requests/${pull.number}`,
      title: pull.title,
      description: pull.body,
      state: pull.state === 'open' ? 'opened' : pull.state,
      source_branch: pull.branch,
      target_branch: pull.base,
      source_project_id: pull.fork ? 8 : 7,
      target_project_id: 7,
      sha: pull.head,
      merge_commit_sha: pull.squashCommit ? null : (pull.mergeCommit ?? null),
      squash_commit_sha: pull.squashCommit ?? null,
      labels: pull.labels,
      author: user(pull.author),
      merge_user: user(pull.mergedBy) ?? null,
      merged_by: user(pull.mergedBy) ?? null,
      merged_at: pull.mergedAt ?? null,
      closed_by: user(pull.closedBy) ?? null,
      closed_at: pull.closedAt ?? null,
    })
    const listed = (labels: unknown) =>
      String(labels ?? '')
        .split(',')
        .filter((label) => label !== '')

    if (path === project && method === 'GET') {
      const found = state.pulls.filter((pull) => pull.branch === url.searchParams.get('source_branch')).reverse()
      return { status: 200, body: page(url, found.map(json)) }
    }
    if (path === project && method === 'POST') {
      const { source_branch: branch, target_branch: base, title, description } = body as Record<string, string>
      const twin = state.open().find((pull) => pull.branch === branch)
      if (twin)
        return {
          status: 409,
          body: { message: [`Another open merge request already exists for this source branch: !${twin.number}`] },
        }
      if (state.tip(branch!) === '') return { status: 400, body: { message: { source_branch: ['does not exist'] } } }
      const labels = listed(body.labels)
      const made = state.create({ title: title!, body: description ?? '', branch: branch!, base: base!, labels })
      return { status: 201, body: json(made) }
    }
    if (path === '/users') {
      const login = url.searchParams.get('username') ?? ''
      return { status: 200, body: [user(state.user(login))] }
    }
    const profile = /^\/users\/(\d+)$/.exec(path)
    if (profile) {
      const one = usersOf(state).find((each) => each.id === Number(profile[1]))
      return one && { status: 200, body: { ...user(one), bot: Boolean(one.bot), public_email: one.email ?? '' } }
    }
    const member = /^\/groups\/([^/]+)\/members\/all\/(\d+)$/.exec(path)
    if (member) {
      const members = state.groups.get(decodeURIComponent(member[1]!)) ?? []
      const one = usersOf(state).find((each) => each.id === Number(member[2]))
      const there = one && members.includes(one.login)
      return there ? { status: 200, body: { ...user(one), access_level: 30 } } : undefined
    }
    const single = path.startsWith(project) ? /^\/(\d+)(?:\/(\w+))?$/.exec(path.slice(project.length)) : undefined
    const pull = single ? state.find(Number(single[1])) : undefined
    if (!pull) return undefined
    switch (`${method} ${single?.[2] ?? ''}`) {
      case 'GET ':
        return { status: 200, body: json(pull) }
      case 'PUT ':
        if (typeof body.title === 'string') pull.title = body.title
        if (typeof body.description === 'string') pull.body = body.description
        if (body.add_labels) pull.labels = [...new Set([...pull.labels, ...listed(body.add_labels)])]
        if (body.state_event === 'close') state.closeAsSelf(pull)
        return { status: 200, body: json(pull) }
      case 'GET approvals':
        return {
          status: 200,
          body: {
            approved: true,
            approved_by: approvals(pull).map((each) => ({
              user: user(each.user),
              ...(dated ? { approved_at: each.at } : {}),
            })),
          },
        }
      case 'GET versions': {
        const versions = pull.versions.map((each, id) => ({ id, head_commit_sha: each.commit, created_at: each.at }))
        return { status: 200, body: page(url, versions.reverse()) }
      }
      case 'GET notes': {
        const said = pull.comments.map((each) => ({
          body: each.body,
          author: user(each.user),
          created_at: each.at,
          system: false,
        }))
        const noted = pull.reviews.map((each) => {
          const words = each.state === 'APPROVED' ? 'approved this merge request' : 'unapproved this merge request'
          return { body: words, author: user(each.user), created_at: each.at, system: true }
        })
        return { status: 200, body: page(url, [...said, ...noted]) }
      }
      case 'POST notes':
        state.say(pull, String(body.body))
        return { status: 201, body: {} }
      default:
        return undefined
    }
  }

function usersOf(state: Pick<FakeForge, 'pulls' | 'groups' | 'user'>): FakeUser[] {
  const named = state.pulls.flatMap((pull) => [
    pull.author,
    ...(pull.mergedBy ? [pull.mergedBy] : []),
    ...(pull.closedBy ? [pull.closedBy] : []),
    ...pull.reviews.map((each) => each.user),
  ])
  const members = [...state.groups.values()].flat().map((login) => state.user(login))
  return [...named, ...members]
}
