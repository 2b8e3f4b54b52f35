import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const main = join(root, 'src', 'main.ts')
let temporary: string
beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'demo-test-'))
})
afterAll(() => rm(temporary, { recursive: true, force: true }))

interface Running {
  out(): string
  err(): string
  ended: Promise<number | null>
  type(text: string): void
  signal(signal: NodeJS.Signals): void
  pid: number
}

function start(command: string, args: string[]): Running {
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, HOME: temporary, TMPDIR: temporary, TERM: 'xterm', COLUMNS: '100', NO_COLOR: '1' },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => {
    err += data.toString()
  })
  return {
    out: () => out,
    err: () => err,
    ended: once(child, 'close').then(([code]: (number | null)[]) => code ?? null),
    type: (text) => void child.stdin.write(text),
    signal: (signal) => void child.kill(signal),
    pid: child.pid ?? 0,
  }
}

async function until(test: () => boolean, what: string, running: Running): Promise<void> {
  const end = Date.now() + 150_000
  while (!test()) {
    if (Date.now() > end)
      throw new Error(`never ${what}\n${running.out().slice(-2_000)}\n${running.err().slice(-2_000)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Processes of this machine that work in the demo's folders. */
async function leftOver(): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(temporary))
}

describe('sluice demo', { timeout: 240_000 }, () => {
  test('--json prints one report of three acts that all ended as they should, and leaves nothing behind', async () => {
    const demo = start(process.execPath, [main, 'demo', '--json'])
    expect(await demo.ended, demo.err()).toBe(0)
    const report = JSON.parse(demo.out())
    expect(report.ok).toBe(true)
    expect(report.acts.map((act: { id: string }) => act.id)).toEqual(['good', 'errors', 'slow'])
    for (const act of report.acts) expect(act).toMatchObject({ ok: true, failures: [] })
    const [good, errors, slow] = report.acts
    expect(good).toMatchObject({ result: 'Promoted', weights: [10, 50, 100], approvedBy: ['slack-user:U0DANA'] })
    expect(errors).toMatchObject({ result: 'RolledBack', version: 'v3' })
    expect(slow).toMatchObject({ result: 'RolledBack', version: 'v4' })
    for (const act of [errors, slow]) {
      expect(act.weights.at(-1)).toBe(0)
      expect(act.breachToZeroMs).toBeGreaterThan(0)
    }
    const subjects = report.commits.map((commit: { subject: string }) => commit.subject)
    expect(subjects.filter((subject: string) => subject.startsWith('my-app: roll back'))).toHaveLength(2)
    expect(demo.err()).toBe('')
    expect(await readdir(temporary)).toEqual([])
    expect(await leftOver()).toEqual([])
  })

  test('--story deployment tells of one Deployment: no client notices the good release, no pod of it ever ran a bad one', async () => {
    const demo = start(process.execPath, [main, 'demo', '--story', 'deployment', '--json'])
    expect(await demo.ended, `${demo.err()}${demo.out().slice(0, 4_000)}`).toBe(0)
    const report = JSON.parse(demo.out())
    expect(report.ok).toBe(true)
    const [good, errors, missing] = report.acts
    expect(good).toMatchObject({ id: 'good', result: 'Promoted', weights: [10, 50, 100, 0], bad: 0, failures: [] })
    expect(errors).toMatchObject({ id: 'errors', result: 'RolledBack', version: '2.1.0', failures: [] })
    expect(missing).toMatchObject({ id: 'missing', result: 'RolledBack', weights: [], bad: 0, failures: [] })
    expect(missing.message).toMatch(/ImagePullBackOff/)
    const subjects: string[] = report.commits.map((commit: { subject: string }) => commit.subject)
    expect(subjects.filter((subject) => subject.startsWith('checkout: roll back'))).toHaveLength(2)
    expect(demo.err()).toBe('')
    expect(await readdir(temporary)).toEqual([])
    expect(await leftOver()).toEqual([])
  })

  test('--keep tells where everything is, stays, and ends with Ctrl-C', async () => {
    const demo = start(process.execPath, [main, 'demo', '--keep', '--json'])
    await until(() => demo.err().includes('Ctrl-C ends it'), 'told the places', demo)
    const places = JSON.parse(
      demo
        .err()
        .split('\n')
        .find((line) => line.startsWith('{')) ?? '{}',
    )
    expect(Object.keys(places)).toEqual(['kubeconfig', 'controller', 'page', 'prometheus', 'mesh', 'git'])
    expect(await readFile(places.kubeconfig, 'utf8')).toContain('clusters:')
    expect((await fetch(`${places.controller}/metrics`)).status).toBe(200)
    expect(await (await fetch(`${places.page}/rollouts/shop/my-app`)).text()).toContain('has all the traffic')
    demo.signal('SIGINT')
    expect(await demo.ended).toBe(0)
    expect(await readdir(temporary)).toEqual([])
  })

  test('on a terminal the picture is drawn, and whoever sits there may approve', async () => {
    const command = `"${process.execPath}" "${main}" demo`
    const demo = start('script', ['-qec', command, '/dev/null'])
    await until(() => demo.out().includes('may traffic move from 10 % to 50 %?'), 'asked', demo)
    demo.type('y\r')
    await until(() => /act 2 of 3/.test(demo.out()), 'in the second act', demo)
    expect(demo.out()).toMatch(/█/)
    expect(demo.out()).toMatch(/clients +\d+ requests/)
    expect(await demo.ended).toBe(0)
    expect(demo.out()).toContain('Approved-by: user:kubernetes-admin')
    expect(demo.out()).not.toContain('dana clicks Approve')
  })

  test('Ctrl-C in the middle ends it at once, and leaves nothing behind', async () => {
    const demo = start(process.execPath, [main, 'demo'])
    await until(() => demo.out().includes('act 1 of 3'), 'in the first act', demo)
    const [, page = ''] = /watch it at (http:\S+)/.exec(demo.out()) ?? []
    expect((await fetch(page)).status).toBe(200)
    demo.signal('SIGINT')
    expect(await demo.ended, demo.err()).toBe(130)
    expect(demo.err()).toBe('')
    expect(await readdir(temporary)).toEqual([])
    expect(await leftOver()).toEqual([])
  })
})
