import { describe, expect, test } from 'vitest'
import type { GitRecorder } from '../../src/git/record.ts'
import type { SourceRef } from '../../src/git/source-ref.ts'
import { contentOf, deployment, deploymentRollout, memory, rollback, route, step } from './deployment-shop.ts'
import { eventually, hasty, recorder, resultOf, sourceOf } from './shop.ts'
import { type Person, personAt, remoteWith, temporaryFolder } from './workbench.ts'

const file = 'prod/deployment.yaml'
const listPath = 'prod/.sluice/known-bad.json'
const statePath = 'prod/.sluice/shop/checkout.yaml'
const rollout = deploymentRollout()
const [v1, v2] = [contentOf(deployment('app:1')), contentOf(deployment('app:2'))]
const shop = { [file]: deployment('app:1'), 'prod/vs.yaml': route(90, 10) }

async function done(git: GitRecorder, source: SourceRef, entry: { op: string }, ref = rollout) {
  const result = await resultOf(git, source, ref, entry.op)
  expect(result).toMatchObject({ state: 'Done' })
  return result.state === 'Done' ? result : undefined
}

/** Commits and pushes what `change` does to the work tree, moved and removed files included. */
function rearrange(person: Person, message: string, change: () => void): void {
  person.read(file)
  change()
  person.git('add', '-A')
  person.git('commit', '--quiet', '-m', message)
  person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
}

function changedFiles(person: Person): string[] {
  return person.git('show', '--name-only', '--format=', 'HEAD').trim().split('\n').sort()
}

describe('a rollback in Deployment mode', () => {
  test('puts the template back as it stood, with weights and state in one commit, and leaves what people did around it', async () => {
    const { remote, person } = await remoteWith(shop)
    const good = deployment('app:1', { note: 'said later, of the same pods' })
    person.commit('A comment', { [file]: good })
    person.commit('Release 2', { [file]: deployment('app:2', { note: 'the new ones' }) })
    person.commit('More pods', { [file]: deployment('app:2', { note: 'the new ones', replicas: 9 }) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect((await done(git, source, entry))?.note).toBeUndefined()
    expect(person.read(file)).toBe(good.replace('replicas: 2', 'replicas: 9'))
    expect(person.read('prod/vs.yaml')).toBe(route(100, 0))
    expect(person.subjects().slice(-2)).toEqual(['More pods', 'checkout: roll back'])
    expect(changedFiles(person)).toEqual([listPath, statePath, file, 'prod/vs.yaml'])
  })

  test('happens once, however often it is asked for, by whomever', async () => {
    const { remote, person } = await remoteWith(shop)
    person.commit('Release 2', { [file]: deployment('app:2') })
    const source = sourceOf(remote.url)
    const entry = rollback(v2, v1)
    for (let i = 0; i < 2; i++) {
      const git = recorder()
      git.submit(source, rollout, entry, memory(v1, [v2]))
      await done(git, source, entry)
      await git.stop()
    }
    expect(person.subjects()).toEqual(['Start', 'Release 2', 'checkout: roll back'])
    const next = recorder()
    const again = rollback(v2, v1)
    next.submit(source, rollout, again, memory(v1, [v2]))
    expect(await done(next, source, again)).toMatchObject({ note: 'Git says so already' })
    expect(person.subjects()).toHaveLength(3)
  })

  test('leaves a template that a person has changed meanwhile alone, and says so', async () => {
    const { remote, person } = await remoteWith(shop)
    person.commit('Release 2', { [file]: deployment('app:2') })
    person.commit('Release 3', { [file]: deployment('app:3') })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect(await done(git, source, entry)).toMatchObject({
      note: `the pod template in ${file} is not, or no more, that of ${v2.revision}, so it was left alone`,
    })
    expect(person.read(file)).toBe(deployment('app:3'))
    expect(person.read('prod/vs.yaml')).toBe(route(100, 0))
  })

  test('leaves it alone also when they push while we do', async () => {
    const { remote, person } = await remoteWith(shop)
    person.commit('Release 2', { [file]: deployment('app:2') })
    const git = recorder()
    const source = sourceOf(remote.url)
    await git.refresh(source)
    remote.faults.delayMs = 200
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    await hasty.sleep(40)
    person.commit('Release 3', { [file]: deployment('app:3') })
    const result = await done(git, source, entry)
    const late = personAt(temporaryFolder(), remote.dir).read(file)
    // Whoever came first: the person's version is what Git wants, or it was pushed over ours and is a new version anyway.
    expect(late).toBe(deployment('app:3'))
    expect(person.subjects().filter((s) => s.includes('roll back'))).toHaveLength(result?.sha ? 1 : 0)
  })

  test('follows the Deployment through renamed and divided files', async () => {
    const { remote, person } = await remoteWith({
      'prod/all.yaml': `${route(90, 10)}---\n${deployment('app:1')}---\n${deployment('cart:1', { name: 'cart' })}`,
    })
    rearrange(person, 'Divide', () => {
      person.git('rm', '--quiet', 'prod/all.yaml')
      person.write({ 'prod/vs.yaml': route(90, 10), 'prod/a.yaml': deployment('app:1') })
    })
    rearrange(person, 'Rename and release', () => {
      person.git('mv', 'prod/a.yaml', 'prod/b.yaml')
      person.write({ 'prod/b.yaml': deployment('app:2') })
    })
    rearrange(person, 'Rename and release again', () => {
      person.git('rm', '--quiet', 'prod/b.yaml')
      person.write({ 'prod/deep/c.yaml': deployment('app:3') })
    })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback(contentOf(deployment('app:3')), v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect((await done(git, source, entry))?.note).toBeUndefined()
    expect(person.read('prod/deep/c.yaml')).toBe(deployment('app:1'))
    expect(person.read(statePath)).toMatch(/stable:[\s\S]*file: prod\/a.yaml[\s\S]*knownBad:[\s\S]*file: prod\/b.yaml/)
  })

  test('of two Rollouts in one file are two commits of one push, and both stand', async () => {
    const both = (a: string, b: string) => `${deployment(a)}---\r\n${deployment(b, { name: 'cart' })}`
    const { remote, person } = await remoteWith({ [file]: both('app:1', 'cart:1') })
    person.commit('Release both', { [file]: both('app:2', 'cart:2') })
    const git = recorder()
    const source = sourceOf(remote.url)
    const [c1, c2] = ['cart:1', 'cart:2'].map((image) => contentOf(deployment(image, { name: 'cart' })))
    const first = rollback(v2, v1)
    const second = rollback(c2!, c1!)
    second.template!.deployment = 'cart'
    const cart = deploymentRollout('cart')
    git.submit(source, rollout, first, memory(v1, [v2]))
    git.submit(source, cart, second, memory(c1!, [c2!]))
    await done(git, source, first)
    await done(git, source, second, cart)
    expect(person.read(file)).toBe(both('app:1', 'cart:1'))
    expect(person.subjects()).toHaveLength(4)
  })

  test('waits while Git is down, and arrives once', async () => {
    const { remote, person } = await remoteWith(shop)
    person.commit('Release 2', { [file]: deployment('app:2') })
    const git = recorder()
    const source = sourceOf(remote.url)
    remote.faults.down = true
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    await resultOf(git, source, rollout, entry.op, (r) => r.state === 'Waiting' && r.message !== undefined)
    remote.faults.clear()
    remote.faults.loseAnswers = 1
    await resultOf(git, source, rollout, entry.op, (r) => r.state === 'Done')
    expect(person.subjects()).toEqual(['Start', 'Release 2', 'checkout: roll back'])
    expect(person.read(file)).toBe(deployment('app:1'))
  })
})

describe('the good template', () => {
  /** A repository whose history begins anew with the bad version. */
  async function squashed(commit?: string) {
    const made = await remoteWith(shop)
    const { remote, person } = made
    const good = person.git('rev-parse', 'HEAD').trim()
    const record = `cluster: prod-eu\nstable: { revision: ${v1.revision}, name: "1", hash: ${v1.hash}, commit: ${commit ?? good}, file: ${file} }\nknownBad: []\n`
    person.git('checkout', '--quiet', '--orphan', 'anew')
    person.write({ [file]: deployment('app:2', { replicas: 4 }), [statePath]: record })
    person.git('add', '-A')
    person.git('commit', '--quiet', '-m', 'All anew')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/anew')
    person.git('--git-dir', remote.dir, 'update-ref', 'refs/heads/main', 'refs/heads/anew')
    return { remote, person, source: sourceOf(remote.url) }
  }

  test('is fetched by its commit when it is outside the clone', async () => {
    const { person, source } = await squashed()
    const git = recorder()
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect((await done(git, source, entry))?.note).toBeUndefined()
    expect(person.read(file)).toBe(deployment('app:1', { replicas: 4 }))
  })

  test('that is gone is not made up: the rest is committed, and the note says so', async () => {
    const { person, source } = await squashed('0123456789012345678901234567890123456789')
    const git = recorder()
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect(await done(git, source, entry)).toMatchObject({
      note: `the pod template was not put back: ${file}: no commit that can still be read has it as it was in ${v1.revision}`,
    })
    expect(person.read(file)).toBe(deployment('app:2', { replicas: 4 }))
    expect(person.read('prod/vs.yaml')).toBe(route(100, 0))
  })

  test('may be that of a known-bad version, for a retry', async () => {
    const { remote, person } = await remoteWith(shop)
    person.commit('Release 2', { [file]: deployment('app:2', { note: 'tried' }) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const back = rollback(v2, v1)
    git.submit(source, rollout, back, memory(v1, [v2]))
    await done(git, source, back)
    const retry = rollback(v1, v2, { kind: 'retry', subject: 'checkout: retry 2', weights: undefined })
    git.submit(source, rollout, retry, memory(v1))
    await done(git, source, retry)
    expect(person.read(file)).toBe(deployment('app:2', { note: 'tried' }))
    expect(person.subjects().at(-1)).toBe('checkout: retry 2')
  })

  test.each([
    [
      'no Deployment',
      { 'prod/vs.yaml': route(90, 10) },
      'the repository does not hold the Deployment, so its template was not put back',
    ],
    [
      'a Helm template',
      { 'prod/vs.yaml': route(90, 10), 'prod/chart/d.yaml': deployment('{{ .Values.image }}').replaceAll('"', '') },
      'the repository does not hold the Deployment as a manifest that can be read (prod/chart/d.yaml:15: is a template ({{ … }}), not a manifest), so its template was not put back',
    ],
    [
      'a template that does not fit',
      {
        'prod/vs.yaml': route(90, 10),
        [file]: deployment('app:2')
          .replace('  selector:', '  # *i\n  strategy: { type: *i }\n  selector:')
          .replace('"app:2"', '&i "app:2"'),
      },
      'stand on different sides of its border',
    ],
  ])('of %s is not put back, with the reason', async (_name, files, note) => {
    const { remote, person } = await remoteWith(shop)
    rearrange(person, 'Otherwise', () => {
      person.git('rm', '--quiet', '-r', 'prod')
      person.write(files)
    })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback(v2, v1)
    git.submit(source, rollout, entry, memory(v1, [v2]))
    expect((await done(git, source, entry))?.note).toContain(note)
    expect(person.read('prod/vs.yaml')).toBe(route(100, 0))
    expect(changedFiles(person)).toEqual([listPath, statePath, 'prod/vs.yaml'])
  })
})

describe('where versions were last wanted', () => {
  test('is kept in the state file, and alone is no reason for a commit', async () => {
    const { remote, person } = await remoteWith(shop)
    const first = person.git('rev-parse', 'HEAD').trim()
    const git = recorder()
    const source = sourceOf(remote.url)
    const adopt = step(10)
    git.submit(source, rollout, adopt, memory(v1))
    await done(git, source, adopt)
    expect(await eventually(() => git.observe(source, rollout).memory)).toMatchObject({
      stable: { commit: first, file },
    })

    const newer = person.commit('A comment', { [file]: deployment('app:1', { note: 'still the same' }) })
    const same = step(10)
    git.submit(source, rollout, same, memory(v1))
    expect(await done(git, source, same)).toMatchObject({ note: 'Git says so already' })
    const next = step(50)
    git.submit(source, rollout, next, memory(v1))
    await done(git, source, next)
    expect(person.read(statePath)).toContain(`  commit: ${newer}\n  file: ${file}\n`)

    const bad = person.commit('Release 2', { [file]: deployment('app:2') })
    const back = rollback(v2, v1)
    git.submit(source, rollout, back, memory(v1, [v2]))
    await done(git, source, back)
    const kept = await eventually(() => {
      const found = git.observe(source, rollout).memory
      return found?.knownBad.length === 1 ? found : undefined
    })
    expect(kept.knownBad).toMatchObject([{ revision: v2.revision, commit: bad, file }])
    expect(kept.stable?.file).toBe(file)
    expect(person.git('show', `${kept.stable?.commit}:${file}`)).toBe(deployment('app:1', { note: 'still the same' }))
  })
})

describe('what Git says of a Deployment', () => {
  test('names who brought the content: not who renamed the file or said something beside it, and not our rollback', async () => {
    const { remote, person, dir } = await remoteWith(shop)
    const kim = personAt(`${dir}/kim`, remote.dir, 'Kim')
    const git = recorder()
    const source = sourceOf(remote.url)
    const authorIs = async (name: string) => {
      await git.refresh(source)
      await eventually(() => (git.observe(source, rollout).author?.startsWith(name) ? true : undefined))
    }
    await authorIs('Dana')
    kim.commit('Release 2', { [file]: deployment('app:2') })
    await authorIs('Kim')
    rearrange(person, 'Rename', () => person.git('mv', file, 'prod/renamed.yaml'))
    person.commit('Comment', { 'prod/renamed.yaml': deployment('app:2', { replicas: 5, note: 'beside it' }) })
    await authorIs('Kim')
    const back = rollback(v2, v1)
    git.submit(source, rollout, back, memory(v1, [v2]))
    await done(git, source, back)
    await authorIs('Dana')
  })

  test('a person’s weight of the fixed pair stands, whatever versions are on the way', async () => {
    const { remote, person } = await remoteWith(shop)
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = step(50)
    git.submit(source, rollout, first, memory(v1))
    await done(git, source, first)
    const theirs = person.commit('Careful', { 'prod/vs.yaml': route(80, 20) })
    const second = step(100)
    git.submit(source, rollout, second, memory(v1))
    const result = await resultOf(git, source, rollout, second.op)
    expect(result).toMatchObject({ state: 'Conflict', weight: 20, commit: theirs })
    expect(await eventually(() => git.observe(source, rollout).conflict)).toMatchObject({ weight: 20, commit: theirs })
    expect(person.read('prod/vs.yaml')).toBe(route(80, 20))
  })
})
