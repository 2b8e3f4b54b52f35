import { z } from 'zod'

/** What a webhook of a forge says, as far as it matters. */
export interface HookNews {
  kind: 'ping' | 'push' | 'pullRequest' | 'other'
  /** Names of the branches that moved; undefined when the body does not say. */
  branches?: string[]
  /** Where the repository is, in whatever spellings the forge gives: URLs and `owner/name`. */
  repositories: string[]
}

/** Longest spelling of a repository that is compared; no forge has a longer one. */
const LONGEST = 4_096

const change = z.looseObject({ name: z.string().optional(), type: z.string().optional() }).nullish()
const place = z.looseObject({
  full_name: z.string().optional(),
  clone_url: z.string().optional(),
  ssh_url: z.string().optional(),
  html_url: z.string().optional(),
  git_http_url: z.string().optional(),
  git_ssh_url: z.string().optional(),
  web_url: z.string().optional(),
  path_with_namespace: z.string().optional(),
  links: z
    .looseObject({
      html: z.looseObject({ href: z.string() }).optional(),
      clone: z.array(z.looseObject({ href: z.string() })).optional(),
    })
    .optional(),
})

/** The fields of GitHub, GitLab, Gitea, Forgejo and Bitbucket (Cloud and Data Center) together; they do not contradict each other. */
const body = z.looseObject({
  ref: z.string().optional().catch(undefined),
  repository: place.optional().catch(undefined),
  project: place.optional().catch(undefined),
  push: z
    .looseObject({ changes: z.array(z.looseObject({ new: change, old: change })) })
    .optional()
    .catch(undefined),
  changes: z
    .array(z.looseObject({ ref: z.looseObject({ id: z.string() }) }))
    .optional()
    .catch(undefined),
})

/**
 * Reads a webhook whose signature was right. `text` undefined, or nothing that can be read: a push of which no more is known. Looking at a
 * repository once too often harms nobody; overlooking a push would.
 */
export function readHook(header: (name: string) => string | undefined, text: string | undefined): HookNews {
  const kind = kindOf(header)
  const parsed = text === undefined ? undefined : body.safeParse(jsonOf(header('content-type'), text))
  if (!parsed?.success) return { kind, repositories: [] }
  const { ref, repository, project, push, changes } = parsed.data
  const moved = (push?.changes ?? []).flatMap((c) => (c.new ?? c.old)?.name ?? [])
  const refs = [...(ref === undefined ? [] : [ref]), ...(changes ?? []).map((c) => c.ref.id)]
  const named = refs.map((full) => full.replace(/^refs\/heads\//, ''))
  const branches = [...moved, ...named]
  return {
    kind,
    ...(branches.length > 0 ? { branches } : {}),
    repositories: [repository, project].flatMap((one) => (one ? spellings(one) : [])),
  }
}

/**
 * Whether a repository of which a forge tells is the one at `url`. Compared by their paths: the same server often has other names inside
 * the cluster, and other ports for ssh. Nothing known: it may well be.
 */
export function isSameRepository(url: string, repositories: readonly string[]): boolean {
  if (repositories.length === 0) return true
  const mine = pathOf(url)
  return repositories.some((one) => {
    const path = one.length > LONGEST ? '' : pathOf(one)
    return path !== '' && (mine === path || mine.endsWith(`/${path}`))
  })
}

function kindOf(header: (name: string) => string | undefined): HookNews['kind'] {
  const name = (
    header('x-gitea-event') ??
    header('x-github-event') ??
    header('x-gitlab-event') ??
    header('x-event-key') ??
    'push'
  ).toLowerCase()
  if (name === 'ping' || name === 'diagnostics:ping') return 'ping'
  if (/^(pull_request|pullrequest:|pr:|merge request hook|note hook)/.test(name)) return 'pullRequest'
  return ['push', 'push hook', 'system hook', 'repo:push', 'repo:refs_changed'].includes(name) ? 'push' : 'other'
}

function jsonOf(type: string | undefined, text: string): unknown {
  const json = type?.startsWith('application/x-www-form-urlencoded') ? new URLSearchParams(text).get('payload') : text
  try {
    return JSON.parse(json ?? '')
  } catch {
    return undefined
  }
}

function spellings(one: z.output<typeof place>): string[] {
  const { full_name, clone_url, ssh_url, html_url, git_http_url, git_ssh_url, web_url, path_with_namespace, links } =
    one
  const all = [full_name, clone_url, ssh_url, html_url, git_http_url, git_ssh_url, web_url, path_with_namespace]
  return [...all, links?.html?.href, ...(links?.clone ?? []).map((c) => c.href)].filter((s) => s !== undefined)
}

/** Owner and name, without what differs between spellings. */
function pathOf(url: string): string {
  return url
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*\//i, '')
    .replace(/^[^/\s]+@[^:/\s]+:/, '')
    .replace(/^\/+|\/+$/g, '')
    .replace(/\.git$/, '')
    .toLowerCase()
}
