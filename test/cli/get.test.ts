import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { phases } from '../../src/api/status.ts'
import { displayWidth } from '../../src/cli/width.ts'
import { approval, rollout, statuses } from './fixtures.ts'
import { approvalsRef, createWorld, type Said, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
  for (const phase of phases) world.put(rollout(phase.toLowerCase(), statuses[phase]))
  world.put(rollout('checkout', statuses.AwaitingApproval))
  world.server.storage.create(approvalsRef, {
    ...approval({ expiresAt: new Date(Date.now() + 3_600_000).toISOString() }),
  })
})
afterAll(() => world.stop())

/** The real binary, as a person runs it. */
function binary(argv: readonly string[], env: Record<string, string> = {}): Promise<Said> {
  const node = join(import.meta.dirname, '../../node_modules/.bin/node')
  const main = join(import.meta.dirname, '../../src/main.ts')
  return new Promise((resolve) => {
    execFile(node, [main, ...argv], { env: { HOME: world.dir, ...env } }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err })
    })
  })
}

test('the binary lists the Rollouts of a namespace, uncut in a pipe and without colours', async () => {
  const said = await binary(['get', '-n', 'shop'], { KUBECONFIG: world.kubeconfig() })
  expect(said).toMatchObject({ code: 0, err: '' })
  const lines = said.out.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^NAME +PHASE +STEP +WEIGHT +STABLE +CANARY +OUTCOME +MESSAGE +AGE$/)
  expect(lines).toHaveLength(phases.length + 2)
  expect(said.out).toContain(statuses.RollingBack.message)
  expect(said.out).not.toContain('\u001b')
})

test('the binary obeys COLUMNS', async () => {
  const said = await binary(['get', '-A', '--kubeconfig', world.kubeconfig()], { COLUMNS: '72' })
  expect(said.out).toContain('NAMESPACE')
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(72)
})

test('the binary answers 1 and one sentence when it cannot, and 2 when it does not understand', async () => {
  const unreachable = await binary(['get', '--kubeconfig', join(world.dir, 'nowhere.kubeconfig')])
  expect(unreachable).toEqual({
    code: 1,
    out: '',
    err: expect.stringMatching(/^sluice: The kubeconfig .*nowhere.kubeconfig does not exist; check the path\.\n$/),
  })
  const wrong = await binary(['get', '--colour'])
  expect(wrong).toMatchObject({ code: 2, out: '', err: expect.stringContaining("unknown option '--colour'") })
})

test('the binary says its version', async () => {
  expect(await binary(['--version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' })
})

test('colours only on a screen', async () => {
  const screen = await world.sluice(['get', '-n', 'shop'], {
    terminal: { colours: true, interactive: true, columns: 120 },
  })
  expect(screen.out).toContain('\u001b[32mHealthy\u001b[39m')
  expect(screen.out).toContain('\u001b[31mRolledBack\u001b[39m')
})

test('one Rollout, by namespace and name', async () => {
  const said = await world.sluice(['get', 'shop/healthy'])
  expect(said.code).toBe(0)
  expect(said.out.trimEnd().split('\n')).toHaveLength(2)
})

test('json and yaml are the objects, for machines', async () => {
  const one = await world.sluice(['get', 'shop/healthy', '-o', 'json'])
  expect(JSON.parse(one.out)).toMatchObject({
    kind: 'Rollout',
    metadata: { name: 'healthy' },
    status: { phase: 'Healthy' },
  })
  const all = await world.sluice(['get', '-A', '-o', 'yaml'])
  expect(parse(all.out)).toMatchObject({ kind: 'List' })
  expect(parse(all.out).items).toHaveLength(phases.length + 1)
  expect(all.out).not.toContain('managedFields')
})

test('wide shows images and Git', async () => {
  const said = await world.sluice(['get', '-n', 'shop', '-o', 'wide'], { terminal: { columns: 60 } })
  expect(said.out).toMatch(/^NAME .* STABLE-IMAGE +CANARY-IMAGE +GIT /)
  expect(said.out).toContain('shop/checkout:2.0.0')
  expect(said.out).toContain('1 pending')
})

test('an empty namespace is no error', async () => {
  expect(await world.sluice(['get'])).toEqual({ code: 0, out: '', err: 'No Rollouts in the namespace default.\n' })
})

test('describe shows page, question and command', async () => {
  const said = await world.sluice(['describe', 'shop/checkout', '--context', 'sandbox'])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toContain('AwaitingApproval at step 1/3')
  expect(said.out).toContain('0 of 2 said yes; open for 59m, then it is rejected')
  expect(said.out).toContain('sluice approve shop/checkout --context sandbox')
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80)
})

test('describe for machines has the Rollout, its open question and its events', async () => {
  world.server.storage.create(
    { group: '', plural: 'events' },
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace: 'shop', name: 'checkout.1' },
      involvedObject: { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', namespace: 'shop', name: 'checkout' },
      reason: 'WeightSet',
      message: '0% → 10%',
      type: 'Normal',
      lastTimestamp: '2026-03-02T11:55:10Z',
    },
  )
  const said = await world.sluice(['describe', 'shop/checkout', '-o', 'json'])
  expect(JSON.parse(said.out)).toMatchObject({
    rollout: { metadata: { name: 'checkout' } },
    approvals: [{ name: 'checkout-d1', spec: { digest: 'd1' } }],
    events: [{ reason: 'WeightSet' }],
  })
  expect((await world.sluice(['describe', 'shop/checkout'])).out).toContain('WeightSet: 0% → 10%')
})

test('somebody who may read Rollouts only still gets the page', async () => {
  const guarded = await createWorld({ rbac: true })
  try {
    const rbac = 'rbac.authorization.k8s.io'
    const metadata = { namespace: 'shop', name: 'viewer' }
    const apiVersion = `${rbac}/v1`
    guarded.server.storage.create(
      { group: rbac, plural: 'roles' },
      {
        apiVersion,
        kind: 'Role',
        metadata,
        rules: [{ apiGroups: ['sluice.dev'], resources: ['rollouts'], verbs: ['get', 'list', 'watch'] }],
      },
    )
    guarded.server.storage.create(
      { group: rbac, plural: 'rolebindings' },
      {
        apiVersion,
        kind: 'RoleBinding',
        metadata,
        roleRef: { apiGroup: rbac, kind: 'Role', name: 'viewer' },
        subjects: [{ apiGroup: rbac, kind: 'User', name: 'lee' }],
      },
    )
    guarded.put(rollout('checkout', statuses.AwaitingApproval))
    const said = await guarded.sluice(['describe', 'shop/checkout'], { user: 'lee' })
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toContain('AwaitingApproval at step 1/3')
    expect(said.out).toContain('sluice approve shop/checkout')
    expect(said.out).toContain('you may not read events in this namespace')
    const denied = await guarded.sluice(['abort', 'shop/checkout'], { user: 'lee' })
    expect(denied).toMatchObject({ code: 1, err: expect.stringMatching(/User "lee" cannot patch .*Grant the missing/) })
  } finally {
    await guarded.stop()
  }
})

test('an unknown Rollout names those that exist', async () => {
  const said = await world.sluice(['describe', 'shop/chekcout'])
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toMatch(
    /^sluice: no Rollout shop\/chekcout; there are awaitingapproval, checkout, .*sluice get -A lists/,
  )
  expect((await world.sluice(['get', 'nothing'])).err).toContain(
    'no Rollout default/nothing; there is none in this namespace',
  )
})

test('a name that is none, and a namespace named twice, are usage errors', async () => {
  expect((await world.sluice(['get', 'a/b/c'])).code).toBe(2)
  expect((await world.sluice(['describe'])).code).toBe(2)
  expect(await world.sluice(['get', 'shop/healthy', '-n', 'other'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('name the namespace once'),
  })
  expect((await world.sluice(['get', 'shop/healthy', '-A'])).code).toBe(2)
})

test('a cluster without the CRDs says how to install them', async () => {
  const bare = await createWorld({ crds: false })
  try {
    for (const argv of [
      ['get'],
      ['describe', 'shop/checkout'],
      ['watch'],
      ['approve', 'shop/checkout'],
      ['abort', 'shop/checkout'],
    ]) {
      const said = await bare.sluice(argv)
      expect(said.code, argv[0]).toBe(1)
      expect(said.err, argv[0]).toMatch(
        /^sluice: the cluster at http\S+ does not know rollouts\.sluice\.dev\. Install them: sluice crds \| kubectl apply -f -\n$/,
      )
    }
  } finally {
    await bare.stop()
  }
})

test('a person without rights, an unknown one and a server that is not there are told apart', async () => {
  const guarded = await createWorld({ rbac: true })
  const file = join(guarded.dir, 'stranger.kubeconfig')
  try {
    const lee = await guarded.sluice(['get', '-n', 'shop'], { user: 'lee' })
    expect(lee).toMatchObject({ code: 1, out: '' })
    expect(lee.err).toMatch(
      /^sluice: rollouts\.sluice\.dev is forbidden: User "lee" cannot list .*Grant the missing permission/,
    )
    await writeFile(file, guarded.server.kubeconfig().replace(/token: .*/, 'token: stolen'))
    const stranger = await guarded.sluice(['get', '--kubeconfig', file])
    expect(stranger.err).toMatch(/does not know who you are\. Log in again/)
    expect(stranger.err).not.toContain('stolen')
  } finally {
    await guarded.stop()
  }
  const gone = join(world.dir, 'gone.kubeconfig')
  await writeFile(gone, guarded.server.kubeconfig())
  const said = await world.sluice(['get', '--kubeconfig', gone])
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toMatch(
    /^sluice: the API server http:\/\/127\.0\.0\.1:\d+ \(.*gone\.kubeconfig.*\) cannot be reached: .*Check that/,
  )
  expect(said.err.trimEnd().split('\n')).toHaveLength(1)
})
