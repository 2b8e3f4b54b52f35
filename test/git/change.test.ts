import { expect, test } from 'vitest'
import { compareUrl } from '../../src/git/url.ts'
import {
  eventually,
  moveTo,
  recorder,
  resultOf,
  rolloutManifest,
  rolloutRef,
  shopFiles,
  sourceOf,
  stateAt,
} from './shop.ts'
import { remoteWith } from './workbench.ts'

test('who is asked sees the commits that brought the desired content since stable was desired, and where to compare', async () => {
  const stable = rolloutManifest('v1')
  const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout.yaml': stable })
  const git = recorder()
  const pullRequest = { provider: 'GitLab' as const }
  const write = { ...sourceOf(remote.url).write, pullRequest }
  const source = sourceOf(remote.url, { write })
  const first = moveTo(0)
  git.submit(source, rolloutRef('checkout', 'v1'), first, { ...stateAt(0) })
  await resultOf(git, source, rolloutRef(), first.op)
  await eventually(() => git.observe(source, rolloutRef()).memory?.stable?.commit)
  expect(git.observe(source, rolloutRef()).change).toBeUndefined()

  const shas = ['v2', 'v3'].map((version) =>
    person.commit(`Try ${version}`, { 'prod/checkout.yaml': rolloutManifest(version) }),
  )
  person.commit('A comment', { 'prod/checkout.yaml': `# hello\n${rolloutManifest('v3')}` })
  person.commit('Elsewhere', { 'prod/other.yaml': 'a: 1' })
  await git.refresh(source)
  const change = await eventually(() => {
    const now = git.observe(source, rolloutRef()).change
    return now?.commits.length === 2 ? now : undefined
  })
  const author = 'Dana <dana@example.com>'
  expect(change.commits).toEqual([
    { sha: shas[1], subject: 'Try v3', author },
    { sha: shas[0], subject: 'Try v2', author },
  ])
  const began = git.observe(source, rolloutRef()).memory?.stable?.commit
  expect(change.compareUrl).toBeUndefined()
  expect(compareUrl('https://u@git.example.com/a/b.git', 'GitLab', began!, shas[1]!)).toBe(
    `https://git.example.com/a/b/-/compare/${began}...${shas[1]}`,
  )
})

test('of many commits the newest twenty are named, and the others counted', async () => {
  const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout.yaml': rolloutManifest('v1') })
  const git = recorder()
  const source = sourceOf(remote.url)
  const first = moveTo(0)
  git.submit(source, rolloutRef('checkout', 'v1'), first, stateAt(0))
  await resultOf(git, source, rolloutRef(), first.op)
  for (let i = 0; i < 23; i++) person.commit(`n${i}`, { 'prod/checkout.yaml': rolloutManifest(`w${i}`) })
  await git.refresh(source)
  const change = await eventually(() => {
    const now = git.observe(source, rolloutRef()).change
    return now?.commitCount ? now : undefined
  })
  expect(change.commitCount).toBe(23)
  expect(change.commits.map(({ subject }) => subject)).toEqual(Array.from({ length: 20 }, (_, i) => `n${22 - i}`))
})

test.each([
  ['https://user:pass@github.com/shop/config.git', undefined, 'https://github.com/shop/config/compare/a...b'],
  ['git@github.com:shop/config.git', undefined, 'https://github.com/shop/config/compare/a...b'],
  ['ssh://git@ssh.github.com:443/shop/config', undefined, 'https://github.com/shop/config/compare/a...b'],
  ['git@gitlab.com:group/sub/config.git', undefined, 'https://gitlab.com/group/sub/config/-/compare/a...b'],
  ['https://git.example.com:8443/shop/config', 'GitHub', 'https://git.example.com:8443/shop/config/compare/a...b'],
  ['ssh://git@git.example.com:2222/shop/config', 'GitLab', 'https://git.example.com/shop/config/-/compare/a...b'],
  ['https://git.example.com/shop/config', undefined, undefined],
  ['file:///srv/shop/config.git', 'GitHub', undefined],
] as const)('%s of %s is compared at %s', (url, provider, page) => {
  expect(compareUrl(url, provider, 'a', 'b')).toBe(page)
})
