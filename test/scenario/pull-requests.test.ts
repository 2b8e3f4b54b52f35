import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readApproval } from '../../src/approval/object.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { textAt } from '../../src/kube/field.ts'
import type { FakeForge } from '../git/forge/fake-forge.ts'
import { startFakeGitHub } from '../git/forge/fake-github.ts'
import { openStage, refs, type Scene, type SceneOptions, type Stage } from './stage.ts'

let stage: Stage
let controller: Controller
const forges: FakeForge[] = []
beforeAll(async () => {
  stage = await openStage()
  controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(async () => {
  await stage.stop()
  await Promise.all(forges.map((forge) => forge.stop()))
}, 60_000)

const quick = [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s' },
]
const gated = (from: string[]) => [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s', approval: { from } },
]

/** A scene whose repository lies at a forge, to which Sluice only proposes. */
async function proposing(namespace: string, options: SceneOptions): Promise<{ s: Scene; forge: FakeForge }> {
  const { storage } = stage.sandbox.api
  const s = await stage.scene(namespace, {
    ...options,
    git: { write: { mode: 'PullRequest', commits: 'Outcomes', pullRequest: { provider: 'GitHub' } } },
    asleep: true,
  })
  const forge = await startFakeGitHub(s.remote.dir, `shop/${namespace}`)
  forges.push(forge)
  const data = { username: 'git', password: forge.token }
  const encoded = Object.fromEntries(Object.entries(data).map(([name, text]) => [name, btoa(text)]))
  storage.create(
    { group: '', plural: 'secrets' },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'config-git', namespace }, data: encoded },
  )
  storage.patchMerge(
    refs.sources,
    { namespace, name: 'config' },
    { spec: { url: forge.gitUrl, secretRef: { name: 'config-git' } } },
  )
  await s.until('Healthy', (status) => status.phase === 'Healthy')
  return { s, forge }
}

const proposed = (s: Scene) =>
  s.until('proposed', (status) => (status.git?.pending ?? []).some((entry) => entry.proposed !== undefined))
const settled = (s: Scene) => s.until('in Git', (status) => (status.git?.pending ?? []).length === 0)

function questions(s: Scene) {
  return stage.sandbox.api.storage.list(refs.approvals, { namespace: s.namespace }).map((o) => readApproval(o)!)
}

describe.concurrent('Sluice proposes, people merge', { timeout: 240_000 }, () => {
  test('a promotion is one pull request, waits for nobody, and when it is merged nothing moves or starts again', async () => {
    const { s, forge } = await proposing('pr-promoted', { rollout: { steps: quick } })
    await using _ = s
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await proposed(s)
    expect(s.weights('v2')).toEqual([0, 20, 100])
    expect(await s.commits()).toEqual(['everything', 'release v2'])
    expect(forge.open()).toMatchObject([{ title: expect.stringMatching(/promote v2/), base: 'main' }])
    expect(s.status().git?.pending?.[0]?.reason).toBe('lies in pull request #1')
    const merged = forge.merge(1, 'dana', 'squash', 'Words of a person')
    await settled(s)
    expect(s.status().git).toMatchObject({ committed: true, lastCommit: merged })
    expect(await s.file('clusters/test/virtualservice-my-app.yaml')).toMatch(/weight: 0\n[\s\S]*weight: 100/)
    await s.stays('quiet', (status) => status.phase === 'Healthy' && s.weight('v2') === 100, 3_000)
    // The merge has come back through the source by now: applying it is done once, and moves nothing.
    const routes = s.routes().length
    await s.stays('quiet', (status) => status.phase === 'Healthy' && s.routes().length === routes, 2_500)
    expect(s.weights('v2')).toEqual([0, 20, 100])
    expect(s.status()).toMatchObject({ attempt: 1 })
    expect(forge.pulls).toHaveLength(1)
  })

  test('a rollback is at once, also while the forge is down; its pull request comes later, and puts the version back', async () => {
    const { s, forge } = await proposing('pr-rollback', {
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { ERROR_RATE: '1' } }],
      rollout: { steps: quick },
    })
    await using _ = s
    await s.desire('v2')
    await s.until('at 20 %', () => s.weight('v2') === 20)
    forge.faults.down = true
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    await s.until('owed', (status) => status.git?.committed === false)
    forge.faults.down = false
    await proposed(s)
    expect(forge.open()).toHaveLength(1)
    forge.merge(1, 'dana')
    await s.until('healthy', (status) => status.phase === 'Healthy')
    await settled(s)
    expect(await s.file('clusters/test/rollout-my-app.yaml')).toMatch(/desired: v1$/m)
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })

  test('what a person declines is not proposed again, until there is something new', async () => {
    const { s, forge } = await proposing('pr-declined', { rollout: { steps: quick } })
    await using _ = s
    await s.desire('v2')
    await proposed(s)
    forge.close(1, 'robin')
    await s.until('declined', (status) => /declined by robin in #1/.test(status.git?.pending?.[0]?.reason ?? ''))
    await s.stays('declined', () => forge.open().length === 0, 2_500)
    await s.desire('v1')
    await s.until('v1 again', (status) => status.stable?.name === 'v1' && status.phase === 'Healthy')
    await proposed(s)
    expect(forge.open()).toHaveLength(1)
    forge.merge(2, 'dana')
    await settled(s)
  })

  test('a gate opens by the merge of a person who may decide, not by that of a bot; its pull request goes when it is answered', async () => {
    const { s, forge } = await proposing('pr-gate', { rollout: { steps: gated(['git-user:dana']) } })
    await using _ = s
    forge.user('automerge', { bot: true })
    await s.desire('v2')
    await s.until('asked', () => forge.open().length === 1)
    const [first] = forge.open()
    expect(first!.branch).toBe(`sluice/pr-gate/my-app/approve-${questions(s)[0]!.spec.digest}`)
    forge.merge(1, 'automerge')
    await s.until('asked anew', () => forge.open().some((pull) => pull.number === 2))
    expect(forge.pulls[0]!.comments.map((each) => each.body).join()).toContain('is a bot')
    await s.stays('waiting', () => s.weight('v2') === 20, 1_500)
    expect(questions(s)[0]!.status.pullRequest).toMatchObject({ number: 2 })
    forge.merge(2, 'dana')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.events().join('\n')).toContain('approved by git-user:dana')
    await proposed(s)
    expect(forge.open().map((pull) => pull.title)).toEqual([expect.stringMatching(/promote v2/)])
  })

  test('a question about what is not wanted any more is closed, and its merge would open nothing', async () => {
    const { s, forge } = await proposing('pr-changed', {
      versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
      rollout: { steps: gated(['git-user:dana']) },
    })
    await using _ = s
    await s.desire('v2')
    await s.until('asked', () => forge.open().some((pull) => pull.branch.includes('approve-')))
    const first = forge.open().find((pull) => pull.branch.includes('approve-'))!
    await s.desire('v3')
    await s.until('closed', () => first.state === 'closed')
    expect(first.comments[0]!.body).toMatch(/^Closed: /)
    await s.until('asked for v3', () => forge.open().some((p) => p.branch.includes('approve-') && /v3-/.test(p.body)))
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })
})

test('a controller that dies again and again opens one pull request', { timeout: 120_000 }, async () => {
  const { s, forge } = await proposing('pr-killed', { rollout: { steps: quick } })
  await using _ = s
  await s.desire('v2')
  await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
  for (let i = 0; i < 3; i++) {
    await controller.stop()
    controller = await stage.controller()
    await controller.synced
  }
  await proposed(s)
  await s.until('one branch', () => branches(s).length === 1)
  expect(forge.pulls).toHaveLength(1)
  forge.merge(1, 'dana', 'rebase')
  await settled(s)
  await s.until('no branch', () => branches(s).length === 0)
  expect(textAt(s.rollout(), 'status', 'phase')).toBe('Healthy')
})

function branches(s: Scene): string[] {
  const output = execFileSync('git', ['-C', s.remote.dir, 'branch', '--list', 'sluice/*'], { encoding: 'utf8' })
  return output.split('\n').filter((line) => line.trim() !== '')
}
