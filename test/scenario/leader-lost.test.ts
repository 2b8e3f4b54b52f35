import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { sluiceController } from './process.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const metadata = { name: 'sluice-system' }
  stage.sandbox.api.storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
}, 60_000)
afterAll(() => stage.stop(), 60_000)

test('a process that loses its lease ends, though neither Git nor the API server answers, and the next one goes on', {
  timeout: 240_000,
}, async () => {
  const { controllerKubeconfig: kubeconfig, prometheus, api } = stage.sandbox
  const start = (name: string) =>
    sluiceController({
      kubeconfig,
      prometheus: prometheus.url,
      workDir: join(stage.dir, name),
      args: ['--leader-elect'],
      env: { SLUICE_LEASE_NAMESPACE: 'sluice-system', SLUICE_LEASE_SECONDS: '3', POD_NAME: name },
    })
  const first = start('first')
  await using s = await stage.scene('lost', {
    git: {},
    rollout: {
      steps: [
        { weight: 20, hold: '1s' },
        { weight: 60, hold: '1s' },
        { weight: 100, hold: '1s' },
      ],
    },
  })
  await s.desire('v2')
  await s.until('at 20 %', ({ step }) => step?.index === 1)
  // The move to 60 % waits for a remote that never answers; then nothing answers any more.
  s.remote.faults.delayMs = Number.POSITIVE_INFINITY
  await s.until('about to move', ({ step }) => step?.entering !== undefined)
  const mend = api.faults.add({ user: CONTROLLER_USER, stall: true, match: ({ verb }) => verb !== 'watch' })
  // Git itself gives up after a minute: the process does not wait for that.
  expect(await Promise.race([first.ended, runtime.sleep(45_000)])).toBe(1)
  mend()
  s.remote.faults.clear()
  const second = start('second')
  await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
  expect(s.weights('v2')).toEqual([0, 20, 60, 100])
  await second.kill('SIGTERM')
})
