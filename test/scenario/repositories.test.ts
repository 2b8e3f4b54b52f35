import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldAt, textAt } from '../../src/kube/field.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

let stage: Stage
let url: string
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  url = controller.url
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const quick = [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s' },
]
const source = (s: Scene) => stage.sandbox.api.storage.get(refs.sources, { namespace: s.namespace, name: 'config' })
const settled = (s: Scene) => s.until('in Git', (status) => (status.git?.pending ?? []).length === 0)

/** A person's commit that does anything to the folder of the source. */
function change(s: Scene, edit: (dir: string) => void): void {
  for (let attempt = 0; ; attempt++) {
    const dir = mkdtempSync(join(stage.dir, 'person-'))
    const who = ['-c', 'user.name=Dana', '-c', 'user.email=dana@example.com']
    const git = (...args: string[]) => execFileSync('git', [...who, ...args], { cwd: dir, stdio: 'pipe' })
    git('clone', '--quiet', '--branch', 'main', s.remote.dir, '.')
    edit(join(dir, 'clusters/test'))
    git('add', '-A')
    git('commit', '--quiet', '-m', 'by hand')
    try {
      git('push', '--quiet', 'origin', 'HEAD:main')
      return
    } catch (error) {
      if (attempt > 20) throw error
    }
  }
}

describe.concurrent('what people do to a repository while a rollout is on its way', { timeout: 240_000 }, () => {
  test('the manifest of the route is deleted: the state file tells the rest, and traffic goes on', async () => {
    await using s = await stage.scene('file-gone', { git: {}, rollout: { steps: quick } })
    change(s, (dir) => rmSync(join(dir, 'virtualservice-my-app.yaml')))
    await s.desire('v2')
    await s.until('promoted', (status) => status.stable?.name === 'v2' && status.phase === 'Healthy')
    await settled(s)
    expect(s.weight('v2')).toBe(100)
    expect(await s.file('clusters/test/.sluice/file-gone/my-app.yaml')).toMatch(/stable:/)
  })

  test('the Rollout moves to another file: it goes on, and a rollback is written where it is now', async () => {
    await using s = await stage.scene('file-moved', { git: {}, rollout: { steps: quick } })
    s.behave('v2', { 'error-rate': '1' })
    await s.desire('v2')
    await s.until('on its way', (status) => status.phase === 'Progressing')
    change(s, (dir) => {
      const old = join(dir, 'rollout-my-app.yaml')
      mkdirSync(join(dir, 'rollouts'))
      writeFileSync(join(dir, 'rollouts/all.yaml'), `# all of them\n${readFileSync(old, 'utf8')}`)
      rmSync(old)
    })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    await settled(s)
    expect(await s.file('clusters/test/rollouts/all.yaml')).toMatch(/^# all of them\n[\s\S]*desired: v1/)
    expect(s.weight('v2')).toBe(0)
  })

  test('the Rollout moves to a namespace that the source may not write: said by file, and the old one stays', async () => {
    await using s = await stage.scene('moved-away', { git: { prune: true }, rollout: { steps: quick } })
    await s.developer.commit('to another namespace', (files) => {
      const file = files.get('rollout-my-app.yaml') ?? ''
      return new Map(files).set('rollout-my-app.yaml', file.replace(/namespace: moved-away/, 'namespace: kube-system'))
    })
    await s.until('refused', () => textAt(source(s), 'status', 'message')?.includes('kube-system') === true)
    const errors = JSON.stringify(fieldAt(source(s), 'status', 'errors'))
    expect(errors).toContain('clusters/test/rollout-my-app.yaml')
    expect(errors).toContain('allowedNamespaces')
    expect(s.rollout()).toBeDefined()
    expect(s.status().phase).toBe('Healthy')
  })

  test('a forge’s webhook brings a new version long before the interval is over; a stranger’s does not', async () => {
    await using s = await stage.scene('told', {
      git: { interval: '1h', webhook: { secretRef: { name: 'hook' } } },
      rollout: { steps: quick },
    })
    stage.sandbox.api.storage.create(
      { group: '', plural: 'secrets' },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { namespace: 'told', name: 'hook' },
        data: { token: Buffer.from('hunter2').toString('base64') },
      },
    )
    await s.desire('v2')
    const deliver = async (token: string) => {
      const body = JSON.stringify({ ref: 'refs/heads/main' })
      const signature = `sha256=${createHmac('sha256', token).update(body).digest('hex')}`
      const headers = { 'x-github-event': 'push', 'x-hub-signature-256': signature }
      return (await fetch(`${url}/hooks/git/told/config`, { method: 'POST', body, headers })).status
    }
    expect(await deliver('guess')).toBe(401)
    await runtime.sleep(500)
    expect(s.status().canary).toBeUndefined()
    expect(await deliver('hunter2')).toBe(202)
    await s.until('promoted', (status) => status.stable?.name === 'v2' && status.phase === 'Healthy')
    expect(textAt(source(s), 'status', 'lastWebhook', 'from')).toBe('GitHub')
  })
})
