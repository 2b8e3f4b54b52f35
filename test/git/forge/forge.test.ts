import { describe, expect, test } from 'vitest'
import { forgeOf } from '../../../src/git/forge/find.ts'
import { ForgeFailure } from '../../../src/git/forge/forge.ts'
import { hasty, sourceOf } from '../shop.ts'
import { forgeWith, kinds } from './bench.ts'

const words = { title: 'checkout: promote v2', body: 'What\n\nwhy', labels: ['delivery', 'sluice'] }
const files = { 'a.txt': 'a\n' }

async function failureOf(work: Promise<unknown>): Promise<ForgeFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ForgeFailure)) throw new Error(`no ForgeFailure: ${error}`)
  return error
}

describe.each(kinds)('%s', (kind) => {
  test('opens, finds, rewrites and closes a pull request, and says a thing once', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    const head = branch('sluice/shop/checkout/op1', { 'b.txt': 'b\n' })
    expect(await forge.find('sluice/shop/checkout/op1')).toEqual([])
    const opened = await forge.open('sluice/shop/checkout/op1', 'main', words)
    expect(opened).toMatchObject({ ...words, state: 'open', head, base: 'main', branch: 'sluice/shop/checkout/op1' })
    expect(opened.url).toMatch(/^http:.*\/1$/)
    const [found] = await forge.find('sluice/shop/checkout/op1')
    expect(found).toEqual(opened)

    fake.pulls[0]!.labels.push('of a person')
    const [labelled] = await forge.find('sluice/shop/checkout/op1')
    await forge.update(labelled!, { title: 'new', body: 'words', labels: ['delivery', 'more'] })
    expect(fake.pulls[0]).toMatchObject({
      title: 'new',
      body: 'words',
      labels: ['delivery', 'sluice', 'of a person', 'more'],
    })

    await forge.say(opened, 'superseded', 'By another.')
    await forge.say(opened, 'superseded', 'By another.')
    await forge.say(opened, 'other', 'Else.')
    expect(fake.pulls[0]!.comments.map((each) => each.body.split('\n')[0])).toEqual(['By another.', 'Else.'])

    await forge.close(opened, 'the end')
    expect((await forge.find(opened.branch))[0]).toMatchObject({ state: 'closed', body: 'the end' })
    const next = await forge.open(opened.branch, 'main', words)
    expect((await forge.find(opened.branch)).map((pull) => pull.number)).toEqual([next.number, opened.number])
  })

  test('an unchanged pull request is not written', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    const pull = await forge.open('x', 'main', words)
    const before = fake.requests.length
    await forge.update(pull, words)
    expect(fake.requests.slice(before)).toEqual([])
  })

  test.each(['merge', 'squash', 'rebase', 'fast-forward'] as const)(
    'a merge by %s names who did it and the commit that is on the branch',
    async (method) => {
      const { forge, fake, branch } = await forgeWith(kind, files)
      branch('x', { 'b.txt': 'b\n' })
      await forge.open('x', 'main', words)
      fake.user('dana', { email: 'dana@example.com' })
      const tip = fake.merge(1, 'dana', method)
      const [pull] = await forge.find('x')
      expect(pull).toMatchObject({ state: 'merged', mergedAs: tip })
      const { merged, closed } = await forge.verdicts(pull!)
      expect(merged).toMatchObject({ by: { login: 'dana', bot: false, email: 'dana@example.com' } })
      expect(Math.abs(merged!.at - Date.now())).toBeLessThan(60_000)
      expect(closed).toBeUndefined()
    },
  )

  test('one from a fork, with a branch of the same name, is not ours', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    await forge.open('x', 'main', words)
    fake.pulls[0]!.fork = 'shop/fork'
    expect(await forge.find('x')).toEqual([])
  })

  test('a close names who did it', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    await forge.open('x', 'main', words)
    fake.close(1, 'robin')
    const [pull] = await forge.find('x')
    expect(await forge.verdicts(pull!)).toMatchObject({ closed: { by: { login: 'robin', bot: false } }, approvals: [] })
  })

  test('reviews count for the newest commit only, and not after they were taken back', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    await forge.open('x', 'main', words)
    fake.review(1, 'early')
    await hasty.sleep(5)
    branch('x', { 'b.txt': 'c\n' })
    const look = async () => (await forge.verdicts((await forge.find('x'))[0]!)).approvals.map(({ by }) => by.login)
    expect(await look()).toEqual([])
    fake.review(1, 'dana')
    fake.review(1, 'robin')
    fake.review(1, 'robin', kind === 'GitHub' ? 'DISMISSED' : 'UNAPPROVED')
    expect(await look()).toEqual(['dana'])
  })

  test('what cannot be proposed says why', async () => {
    const { forge } = await forgeWith(kind, files)
    const failure = await failureOf(forge.open('not/there', 'main', words))
    expect(failure).toMatchObject({ problem: { reason: 'ForgeRefused' }, transient: false })
  })

  test('bots are told from people', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    await forge.open('x', 'main', words)
    fake.user('automerge', { bot: true })
    fake.merge(1, 'automerge')
    const { merged } = await forge.verdicts((await forge.find('x'))[0]!)
    expect(merged?.by?.bot).toBe(true)
  })

  test('members of a team are known, others and unknown teams are not', async () => {
    const { forge, fake } = await forgeWith(kind, files)
    fake.groups.set('acme/release', ['dana'])
    expect(await forge.isMember('acme/release', 'dana')).toBe(true)
    expect(await forge.isMember('acme/release', 'robin')).toBe(false)
    expect(await forge.isMember('acme/unknown', 'dana')).toBe(false)
  })

  test('lists go on over pages', async () => {
    const { forge, fake, branch } = await forgeWith(kind, files)
    branch('x', { 'b.txt': 'b\n' })
    const pull = await forge.open('x', 'main', words)
    for (let i = 0; i < 130; i++) fake.pulls[0]!.comments.push({ user: fake.user('dana'), body: `${i}`, at: '' })
    await forge.say(pull, 'last', 'Said.')
    await forge.say(pull, 'last', 'Said.')
    expect(fake.pulls[0]!.comments).toHaveLength(131)
  })
})

describe('what goes wrong is one sentence, without the token', () => {
  test.each([
    ['no connection', { down: true }, 'ForgeUnreachable', true, undefined],
    ['a page', { garbled: '<html>Log in</html>' }, 'ForgeUnreachable', true, undefined],
    ['a failure', { answer: { status: 503, body: { message: 'maintenance' } } }, 'ForgeUnreachable', true, undefined],
    ['a limit', { answer: { status: 429, headers: { 'retry-after': '30' } } }, 'ForgeUnreachable', true, 30_000],
    [
      'a limit without end',
      { answer: { status: 429, headers: { 'retry-after': '99999999999' } } },
      'ForgeUnreachable',
      true,
      3_600_000,
    ],
    [
      'a limit of GitHub',
      { answer: { status: 403, body: { message: 'API rate limit exceeded' }, headers: { 'retry-after': '7' } } },
      'ForgeUnreachable',
      true,
      7_000,
    ],
    ['no right', { answer: { status: 403, body: { message: 'f0rge-t0ken may not' } } }, 'ForgeAuth', true, undefined],
    ['a wrong token', { answer: { status: 401, body: { message: 'Bad' } } }, 'ForgeAuth', true, undefined],
    ['no such repository', { answer: { status: 404, body: { message: 'no' } } }, 'ForgeAuth', true, undefined],
    ['a refusal', { answer: { status: 422, body: { message: ['no'] } } }, 'ForgeRefused', false, undefined],
  ] as const)('%s', async (_, fault, reason, transient, retryAfterMs) => {
    const { forge, fake } = await forgeWith('GitHub', files)
    Object.assign(fake.faults, fault)
    const failure = await failureOf(forge.find('x'))
    expect(failure.problem).toMatchObject({ reason })
    expect(failure).toMatchObject({ transient, retryAfterMs })
    expect(failure.message).not.toContain(fake.token)
  })

  test('a limit that is used up is waited for until its reset', async () => {
    const { forge, fake } = await forgeWith('GitHub', files)
    const reset = String(Math.ceil(Date.now() / 1000) + 90)
    fake.faults.answer = { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset } }
    const { retryAfterMs = 0 } = await failureOf(forge.find('x'))
    expect(retryAfterMs).toBeGreaterThan(60_000)
    expect(retryAfterMs).toBeLessThan(100_000)
  })
})

test.each([
  ['https://github.com/shop/config.git', {}, 'github:shop/config'],
  ['git@github.com:shop/config.git', {}, 'github:shop/config'],
  ['https://gitlab.com/shop/delivery/config', {}, 'gitlab:shop/delivery/config'],
  ['ssh://git@git.example.com:2222/shop/config.git', { provider: 'GitLab' as const }, 'gitlab:shop/config'],
])('%s is %o', (url, pullRequest, id) => {
  const source = { ...sourceOf(url), forgeToken: 'x' }
  const found = forgeOf({ ...source, write: { ...source.write, pullRequest } }, { runtime: hasty })
  expect(found.ok && found.forge.id).toBe(id)
})

test.each([
  ['https://git.example.com/shop/config.git', 'x', 'InvalidSpec', 'spec.write.pullRequest.provider'],
  ['https://github.com/config.git', 'x', 'InvalidSpec', 'spec.url'],
  ['file:///srv/config.git', 'x', 'InvalidSpec', 'spec.write.pullRequest.provider'],
  ['https://github.com/shop/config.git', undefined, 'ForgeAuth', 'spec.write.pullRequest.secretRef'],
])('%s with the token %s is %s', (url, forgeToken, reason, field) => {
  const source = { ...sourceOf(url), ...(forgeToken ? { forgeToken } : {}) }
  expect(forgeOf(source, { runtime: hasty })).toMatchObject({ ok: false, problem: { reason, field } })
})
