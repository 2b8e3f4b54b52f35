import { describe, expect, test } from 'vitest'
import { isSameRepository, readHook } from '../../src/server/hooks-push.ts'

const read = (headers: Record<string, string>, body: unknown) =>
  readHook((name) => headers[name], typeof body === 'string' ? body : JSON.stringify(body))

describe('a push says which branches moved, and where', () => {
  test.each<[string, Record<string, string>, unknown, string[] | undefined, string[]]>([
    [
      'GitHub',
      { 'x-github-event': 'push' },
      {
        ref: 'refs/heads/main',
        repository: { full_name: 'shop/config', clone_url: 'https://github.com/shop/config.git', id: 7 },
      },
      ['main'],
      ['shop/config', 'https://github.com/shop/config.git'],
    ],
    [
      'GitLab',
      { 'x-gitlab-event': 'Push Hook' },
      {
        object_kind: 'push',
        ref: 'refs/heads/release/1.x',
        project: { path_with_namespace: 'shop/config', git_ssh_url: 'git@gitlab.com:shop/config.git' },
        repository: { git_http_url: 'https://gitlab.com/shop/config.git' },
      },
      ['release/1.x'],
      ['https://gitlab.com/shop/config.git', 'git@gitlab.com:shop/config.git', 'shop/config'],
    ],
    [
      'Forgejo',
      { 'x-gitea-event': 'push', 'x-github-event': 'push' },
      { ref: 'refs/heads/main', repository: { ssh_url: 'ssh://git@git.example.com:2222/shop/config.git' } },
      ['main'],
      ['ssh://git@git.example.com:2222/shop/config.git'],
    ],
    [
      'Bitbucket Cloud, two branches of which one is deleted',
      { 'x-event-key': 'repo:push' },
      {
        push: {
          changes: [
            { new: { type: 'branch', name: 'main' }, old: null },
            { new: null, old: { name: 'old' } },
          ],
        },
        repository: { full_name: 'shop/config', links: { html: { href: 'https://bitbucket.org/shop/config' } } },
      },
      ['main', 'old'],
      ['shop/config', 'https://bitbucket.org/shop/config'],
    ],
    [
      'Bitbucket Data Center',
      { 'x-event-key': 'repo:refs_changed' },
      { changes: [{ ref: { id: 'refs/heads/main', displayId: 'main' } }], repository: { slug: 'config' } },
      ['main'],
      [],
    ],
    ['a script of one’s own', {}, '', undefined, []],
    ['a body that was cut', { 'x-github-event': 'push' }, '{"ref":"refs/he', undefined, []],
    ['fields of other types', { 'x-github-event': 'push' }, { ref: 7, repository: 'x', push: {} }, undefined, []],
  ])('%s', (_, headers, body, branches, repositories) => {
    const news = read(headers, body)
    expect(news.kind).toBe('push')
    expect(news.branches).toEqual(branches)
    expect([...news.repositories].sort()).toEqual([...repositories].sort())
  })

  test('a form has it in its field payload', () => {
    const type = 'application/x-www-form-urlencoded'
    const body = new URLSearchParams({ payload: '{"ref":"refs/heads/main"}' }).toString()
    expect(read({ 'content-type': type, 'x-github-event': 'push' }, body).branches).toEqual(['main'])
  })

  test.each([
    ['ping', { 'x-github-event': 'ping' }],
    ['ping', { 'x-event-key': 'diagnostics:ping' }],
    ['pullRequest', { 'x-github-event': 'pull_request_review' }],
    ['pullRequest', { 'x-gitlab-event': 'Merge Request Hook' }],
    ['pullRequest', { 'x-event-key': 'pullrequest:fulfilled' }],
    ['other', { 'x-github-event': 'issues' }],
    ['other', { 'x-gitlab-event': 'Tag Push Hook' }],
  ])('%s: %j', (kind, headers) => {
    expect(read(headers, '{}').kind).toBe(kind)
  })
})

describe('a repository is known again', () => {
  test.each([
    ['https://github.com/shop/config.git', 'shop/config'],
    ['git@github.com:Shop/Config.git', 'https://github.com/shop/config'],
    ['http://gitea-http.gitea:3000/shop/config', 'https://git.example.com/shop/config.git'],
    ['ssh://git@git.example.com:2222/shop/config.git', 'shop/config'],
    ['https://gitlab.com/company/team/config.git', 'company/team/config'],
    ['file:///srv/git/shop/config.git', 'shop/config'],
  ])('%s is %s', (url, told) => {
    expect(isSameRepository(url, ['elsewhere/other', told])).toBe(true)
  })

  test.each([
    ['https://github.com/shop/config.git', 'shop/other'],
    ['https://github.com/shop/config.git', 'workshop/config'],
    ['https://github.com/shop/config.git', ''],
  ])('%s is not %j', (url, told) => {
    expect(isSameRepository(url, [told])).toBe(false)
  })
})

test('a spelling that no forge has is no repository, and is not looked at for long', () => {
  expect(isSameRepository('https://git.example.com/shop/config', [`a${'/'.repeat(250_000)}b`])).toBe(false)
})
