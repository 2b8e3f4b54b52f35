import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KubeError } from '../../src/kube/kube-error.ts'
import { KubeconfigError, type LoadOptions, loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { systemRuntime } from '../../src/runtime.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, text)
  return path
}

interface Parts {
  name?: string
  server?: string
  cluster?: string
  user?: string
}

function config({
  name = 'prod',
  server = 'https://api.example.com:6443/',
  cluster = '',
  user = 'token: sesame-4711',
}: Parts = {}) {
  return `
current-context: ${name}
clusters:
  - name: c-${name}
    cluster:
      server: ${server}
      ${cluster}
contexts:
  - name: ${name}
    context: { cluster: c-${name}, user: u-${name}, namespace: shop }
users:
  - name: u-${name}
    user:
      ${user}
`
}

const load = (options: Partial<LoadOptions>) => loadKubeconfig({ env: {}, runtime: systemRuntime, ...options })

async function sentence(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof KubeconfigError || error instanceof KubeError) return error.message
  throw error
}

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

describe('finding the cluster', () => {
  test('the named file goes before KUBECONFIG, the pod, and the home folder', async () => {
    const named = await file('named', config({ name: 'named' }))
    const variable = await file('variable', config({ name: 'variable' }))
    await mkdir(join(dir, '.kube'))
    await file('.kube/config', config({ name: 'home' }))
    await mkdir(join(dir, 'pod'))
    await file('pod/token', 'pod-token\n')
    await file('pod/ca.crt', pem)
    await file('pod/namespace', 'sluice-system\n')
    const serviceAccountDir = join(dir, 'pod')
    const env = { KUBECONFIG: variable, HOME: dir, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
    const origin = async (options: Partial<LoadOptions>) => (await load({ serviceAccountDir, ...options })).origin
    expect(await origin({ path: named, env })).toContain('"named"')
    expect(await origin({ env })).toContain('"variable"')
    expect(await origin({ env: { ...env, KUBECONFIG: undefined } })).toBe('in-cluster')
    expect(await origin({ env: { HOME: dir } })).toContain('"home"')
    const pod = await load({ env: { ...env, KUBECONFIG: undefined }, serviceAccountDir })
    expect([pod.server, pod.namespace]).toEqual(['https://[fd00::1]:443', 'sluice-system'])
    expect(await pod.credentials()).toMatchObject({ headers: { authorization: 'Bearer pod-token' } })
  })

  test('several files in KUBECONFIG are merged, the first wins, missing ones do not matter', async () => {
    const first = await file('first', config({ name: 'one' }))
    const second = await file('second', config({ name: 'two', server: 'https://two' }))
    const env = { KUBECONFIG: [join(dir, 'missing'), first, second].join(':') }
    expect((await load({ env })).server).toBe('https://api.example.com:6443')
    expect((await load({ env, context: 'two' })).server).toBe('https://two')
  })
})

describe('what is wrong is said in one sentence', () => {
  const cases: [string, string, RegExp][] = [
    ['not YAML', 'clusters:\n  - name: [a\n  b: {', /broken, line \d+: this is not YAML/],
    ['not a mapping', 'just some text', /broken is not a kubeconfig/],
    ['empty', '', /broken is not a kubeconfig/],
    ['a list', '- a', /broken is not a kubeconfig/],
    ['wrong type', 'clusters: 5', /broken, line 1: clusters: /],
    ['no server', 'clusters:\n- name: a\n  cluster: {}', /line 3: clusters\[0\]\.cluster\.server: .*add `server:/],
    ['bad server', config({ server: 'api.example.com' }), /line 6: clusters\[0\]\.cluster\.server: is not an http/],
    ['no current context', 'contexts:\n- name: x\n  context: {cluster: y}', /no current-context.*it knows "x"/],
    ['unknown context', 'current-context: z\nclusters: null', /no context "z"; it has no contexts/],
    ['dangling cluster', 'current-context: x\ncontexts:\n- name: x\n  context: {cluster: y}', /names the cluster "y"/],
    ['plugin without command', config({ user: 'exec: { apiVersion: v1 }' }), /exec\.command: names no command/],
  ]
  test.each(cases)('%s', async (_name, text, expected) => {
    const message = await sentence(load({ path: await file('broken', text) }))
    expect(message).toMatch(expected)
    expect(message).not.toContain('\n')
  })

  test('a file that is missing, a folder, or nothing at all', async () => {
    expect(await sentence(load({ path: join(dir, 'nowhere') }))).toMatch(/nowhere does not exist; check the path/)
    expect(await sentence(load({ path: dir }))).toMatch(/is a folder/)
    expect(await sentence(load({ env: { KUBECONFIG: join(dir, 'nowhere') } }))).toMatch(
      /KUBECONFIG names .*correct or unset/,
    )
    expect(await sentence(load({ env: { HOME: dir } }))).toMatch(/No cluster is configured.*--kubeconfig/)
  })

  test('a broken kubeconfig does not show its secrets', async () => {
    const text = 'users:\n- name: a\n  user:\n    token: sesame-4711\n   bad-indent: "sesame-4712\n'
    expect(await sentence(load({ path: await file('broken', text) }))).not.toContain('sesame')
    const wrong = 'users:\n- name: a\n  user: { token: [sesame-4711] }\n'
    expect(await sentence(load({ path: await file('broken', wrong) }))).not.toContain('sesame')
  })
})

describe('credentials', () => {
  const credentials = async (parts: Parts) =>
    await (await load({ path: await file('config', config(parts)) })).credentials()

  test('a token, basic auth, impersonation', async () => {
    expect((await credentials({})).headers).toEqual({ authorization: 'Bearer sesame-4711' })
    const basic = await credentials({ user: '{ username: u, password: p, as: deployer, as-groups: [a, b] }' })
    expect(basic.headers).toEqual({
      authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
      'impersonate-user': 'deployer',
      'impersonate-group': ['a', 'b'],
    })
  })

  test('files are relative to the kubeconfig, and certificates may be inline', async () => {
    await file('ca.pem', pem)
    const data = Buffer.from(pem).toString('base64')
    const { tls } = await credentials({
      cluster: 'certificate-authority: ca.pem\n      tls-server-name: api.internal',
      user: `client-certificate-data: ${data}\n      client-key-data: ${data}`,
    })
    expect([String(tls.ca), String(tls.cert), String(tls.key)]).toEqual([pem, pem, pem])
    expect([tls.servername, tls.rejectUnauthorized]).toEqual(['api.internal', undefined])
  })

  test('a token file is read again when its time has come, or when the server refused it', async () => {
    let now = 0
    const path = await file('config', config({ user: 'tokenFile: token' }))
    const connection = await load({ path, runtime: { ...systemRuntime, monotonic: () => now } })
    const token = async () => (await connection.credentials()).headers.authorization
    await file('token', 'one\n')
    expect(await token()).toBe('Bearer one')
    await file('token', 'two\n')
    expect(await token()).toBe('Bearer one')
    now += 10_001
    expect(await token()).toBe('Bearer two')
    await file('token', 'three\n')
    connection.refresh()
    expect(await token()).toBe('Bearer three')
  })

  test('material that is missing or broken is named', async () => {
    expect(await sentence(credentials({ cluster: 'certificate-authority: gone.pem' }))).toMatch(
      /gone\.pem cannot be read \(ENOENT\)/,
    )
    expect(await sentence(credentials({ cluster: 'certificate-authority-data: aGVsbG8=' }))).toMatch(
      /`certificate-authority-data` .* not base64 of a PEM/,
    )
  })
})

describe('exec plugins', () => {
  async function plugin(script: string, exec = ''): Promise<ReturnType<typeof loadKubeconfig>> {
    await chmod(await file('plugin', `#!/bin/sh\n${script}\n`), 0o755)
    const user = `exec: { apiVersion: client.authentication.k8s.io/v1, command: ./plugin ${exec} }`
    return load({ path: await file('config', config({ server: 'http://127.0.0.1:1', user })) })
  }

  test('are run with what they need to know, and their token is used', async () => {
    const script = `
test "$1" = get-token && test "$REGION" = eu || exit 3
case "$KUBERNETES_EXEC_INFO" in *ExecCredential*127.0.0.1*) ;; *) exit 4;; esac
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}'`
    const options = ', args: [get-token], env: [{name: REGION, value: eu}], provideClusterInfo: true'
    const connection = await plugin(script, options)
    expect((await connection.credentials()).headers).toEqual({ authorization: 'Bearer from-plugin' })
  })

  test('are run once more when many requests are refused together', async () => {
    const connection = await plugin(`
echo x >> "$(dirname "$0")/runs"
echo '{"apiVersion":"v1","kind":"ExecCredential","status":{"token":"t'$(wc -l < "$(dirname "$0")/runs" | tr -d ' ')'"}}'`)
    const old = await connection.credentials()
    expect(old.headers.authorization).toBe('Bearer t1')
    const fresh = await Promise.all(
      Array.from({ length: 20 }, async () => {
        connection.refresh(old)
        return (await connection.credentials()).headers.authorization
      }),
    )
    expect(new Set(fresh)).toEqual(new Set(['Bearer t2']))
    connection.refresh(old)
    expect((await connection.credentials()).headers.authorization).toBe('Bearer t2')
  })

  test('that fail say so without printing what may be a secret', async () => {
    const secret = 'eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9'
    const failing = await plugin(`echo "login expired ${secret}" >&2; exit 1`)
    expect(await sentence(failing.credentials())).toMatch(/plugin ".*plugin" failed: login expired …/)
    const garbage = await plugin(`echo "${secret}"`)
    const message = await sentence(garbage.credentials())
    expect(message).toMatch(/did not print an ExecCredential/)
    expect(message).not.toContain(secret)
  })

  test('that are not installed say how to install them', async () => {
    const user = 'exec: { apiVersion: v1, command: sluice-no-such-plugin, installHint: "get it at example.com" }'
    const connection = await load({ path: await file('config', config({ user })) })
    expect(await sentence(connection.credentials())).toMatch(/is not installed \(get it at example\.com\)/)
  })
})
