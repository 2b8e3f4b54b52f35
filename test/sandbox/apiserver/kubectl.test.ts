import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { deployment, widget, widgetCrd } from '../../conformance/apiserver.fixtures.ts'

const installed = spawnSync('kubectl', ['version', '--client']).status === 0
if (!installed) console.warn('kubectl is not on the PATH: the tests that drive it are skipped')

describe.skipIf(!installed)('the real kubectl', () => {
  let server: ApiServer
  let folder: string
  let environment: NodeJS.ProcessEnv

  beforeAll(async () => {
    server = await startApiServer()
    folder = mkdtempSync(join(tmpdir(), 'kubectl-'))
    writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig())
    environment = { PATH: process.env.PATH, HOME: folder, KUBECONFIG: join(folder, 'kubeconfig') }
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const deployments = { group: 'apps', plural: 'deployments' }
  const web = { namespace: 'default', name: 'web' }

  function deployed(name: string) {
    const object = deployment(name)
    return { ...object, metadata: { ...object.metadata, namespace: 'default' } }
  }

  function kubectl(...words: string[]): Promise<{ code: number; out: string; err: string }> {
    return new Promise((resolve) => {
      execFile('kubectl', words, { env: environment, timeout: 20_000 }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err })
      })
    })
  }

  /** Runs kubectl, expects success, answers what it printed. */
  async function prints(...words: string[]): Promise<string> {
    const { code, out, err } = await kubectl(...words)
    expect(code, `kubectl ${words.join(' ')}: ${err}`).toBe(0)
    return out
  }

  function file(name: string, ...documents: object[]): string {
    const path = join(folder, name)
    writeFileSync(path, documents.map((each) => stringify(each)).join('---\n'))
    return path
  }

  beforeAll(() => {
    server.storage.create({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }, widgetCrd)
    server.storage.create(deployments, deployed('web'))
    rolledOut()
  })

  /** What the Deployment controller would report once the rollout is over. */
  function rolledOut(): void {
    const live = server.storage.get(deployments, web)
    if (!live) throw new Error('the Deployment is gone')
    const observedGeneration = live.metadata.generation
    const status = { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1, observedGeneration }
    const condition = { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }
    server.storage.updateStatus(deployments, { ...live, status: { ...status, conditions: [condition] } })
  }

  test('get prints tables, wide tables, YAML, JSON, names and jsonpath', async () => {
    expect(await prints('get', 'deploy', 'web')).toMatch(
      /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +1\/1 +1 +1 +\d+s/,
    )
    expect(await prints('get', 'deploy', '-o', 'wide')).toContain('registry.example/web:1.0.0')
    expect(await prints('get', 'deploy', 'web', '-o', 'yaml')).toContain('kind: Deployment')
    expect(JSON.parse(await prints('get', 'deploy', '-o', 'json')).items[0].kind).toBe('Deployment')
    expect(await prints('get', 'deploy', '-o', 'name')).toBe('deployment.apps/web\n')
    expect(await prints('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('1')
    expect(await prints('get', 'ns')).toMatch(/default +Active/)
    expect((await kubectl('get', 'deploy', 'nobody')).err).toBe(
      'Error from server (NotFound): deployments.apps "nobody" not found\n',
    )
  })

  test('describe shows a Deployment and its events', async () => {
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'web.1', namespace: 'default' },
      involvedObject: {
        kind: 'Deployment',
        name: 'web',
        namespace: 'default',
        apiVersion: 'apps/v1',
        uid: server.storage.get(deployments, web)?.metadata.uid,
      },
      reason: 'ScalingReplicaSet',
      message: 'Scaled up',
      type: 'Normal',
      count: 1,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      source: { component: 'deployment-controller' },
    }
    server.storage.create({ group: '', plural: 'events' }, event)
    const out = await prints('describe', 'deploy', 'web')
    expect(out).toContain('RollingUpdateStrategy:  25% max unavailable, 25% max surge')
    expect(out).toMatch(/Normal +ScalingReplicaSet.*Scaled up/)
    expect(await prints('get', 'events')).toMatch(/Normal +ScalingReplicaSet +deployment\/web +Scaled up/)
    expect(await prints('events')).toContain('Scaled up')
  })

  test('apply creates, changes and leaves alone; diff shows what would change', async () => {
    const path = file('app.yaml', deployed('app'))
    expect(await prints('apply', '-f', path)).toBe('deployment.apps/app created\n')
    expect(await prints('apply', '-f', path)).toBe('deployment.apps/app unchanged\n')
    const changed = deployed('app')
    changed.spec.template.spec.containers = [{ name: 'web', image: 'registry.example/web:2.0.0' }]
    const next = file('app2.yaml', changed)
    const diff = await kubectl('diff', '-f', next)
    expect(diff.code).toBe(1)
    expect(diff.out).toContain('+      - image: registry.example/web:2.0.0')
    expect(await prints('apply', '-f', next)).toBe('deployment.apps/app configured\n')
    expect(await prints('get', 'deploy', 'app', '-o', 'jsonpath={.metadata.generation}')).toBe('2')
  })

  test('apply refuses an unknown field before anything is written', async () => {
    const broken = { ...deployed('typo'), spec: { ...deployed('typo').spec, replica: 3 } }
    const { code, err } = await kubectl('apply', '-f', file('typo.yaml', broken))
    expect(code).toBe(1)
    expect(err).toContain('unknown field "spec.replica"')
    expect(server.storage.get(deployments, { namespace: 'default', name: 'typo' })).toBeUndefined()
  })

  test('server-side apply reports conflicts with the other manager', async () => {
    const path = file('ssa.yaml', deployed('ssa'))
    expect(await prints('apply', '--server-side', '--field-manager=one', '-f', path)).toBe(
      'deployment.apps/ssa serverside-applied\n',
    )
    const changed = {
      ...deployed('ssa'),
      spec: {
        ...deployed('ssa').spec,
        template: { metadata: { labels: { app: 'ssa' } }, spec: { containers: [{ name: 'web', image: 'x:2' }] } },
      },
    }
    const next = file('ssa2.yaml', changed)
    const refused = await kubectl('apply', '--server-side', '--field-manager=two', '-f', next)
    expect(refused.err).toContain('conflict with "one": .spec.template.spec.containers[name="web"].image')
    await prints('apply', '--server-side', '--field-manager=two', '--force-conflicts', '-f', next)
    const taken = server.storage.get(deployments, { namespace: 'default', name: 'ssa' })
    expect(taken?.metadata.managedFields?.map((each) => each.manager).sort()).toEqual(['one', 'two'])
  })

  test('patch in all three types, edit, label, annotate, scale, set image', async () => {
    await prints('create', 'deployment', 'ed', '--image=registry.example/ed:1', '--replicas=2')
    const replicas = () => prints('get', 'deploy', 'ed', '-o', 'jsonpath={.spec.replicas}')
    await prints('patch', 'deploy', 'ed', '-p', '{"spec":{"replicas":3}}')
    expect(await replicas()).toBe('3')
    await prints('patch', 'deploy', 'ed', '--type=merge', '-p', '{"spec":{"replicas":4}}')
    expect(await replicas()).toBe('4')
    await prints('patch', 'deploy', 'ed', '--type=json', '-p', '[{"op":"replace","path":"/spec/replicas","value":5}]')
    expect(await replicas()).toBe('5')
    await prints('scale', 'deploy', 'ed', '--replicas=6')
    expect(await replicas()).toBe('6')
    environment.EDITOR = 'sed -i s/replicas:.6/replicas:\\ 7/'
    expect(await prints('edit', 'deploy', 'ed')).toBe('deployment.apps/ed edited\n')
    expect(await replicas()).toBe('7')
    await prints('label', 'deploy', 'ed', 'team=shop')
    await prints('annotate', 'deploy', 'ed', 'note=x')
    await prints('set', 'image', 'deploy/ed', 'ed=registry.example/ed:2')
    const object = server.storage.get(deployments, { namespace: 'default', name: 'ed' })
    expect(object?.metadata.labels).toMatchObject({ team: 'shop' })
    expect(object?.metadata.annotations).toMatchObject({ note: 'x' })
    expect(JSON.stringify(object?.spec)).toContain('registry.example/ed:2')
    await prints('delete', 'deploy', 'ed')
    expect(server.storage.get(deployments, { namespace: 'default', name: 'ed' })).toBeUndefined()
  })

  test('rollout status, restart, pause and resume', async () => {
    expect(await prints('rollout', 'status', 'deploy/web')).toBe('deployment "web" successfully rolled out\n')
    await prints('rollout', 'pause', 'deploy/web')
    expect(server.storage.get(deployments, web)?.spec).toMatchObject({ paused: true })
    await prints('rollout', 'resume', 'deploy/web')
    await prints('rollout', 'restart', 'deploy/web')
    expect(JSON.stringify(server.storage.get(deployments, web)?.spec)).toContain('kubectl.kubernetes.io/restartedAt')
  })

  test('wait sees conditions, values and deletions', async () => {
    rolledOut()
    await prints('wait', '--for=condition=Available', 'deploy/web', '--timeout=5s')
    await prints('wait', '--for=jsonpath={.spec.replicas}=1', 'deploy/web', '--timeout=5s')
    await prints('create', 'configmap', 'brief', '--from-literal=a=b')
    const gone = kubectl('wait', '--for=delete', 'cm/brief', '--timeout=10s')
    await new Promise((resolve) => setTimeout(resolve, 300))
    server.storage.remove({ group: '', plural: 'configmaps' }, { namespace: 'default', name: 'brief' })
    expect((await gone).code).toBe(0)
  })

  test('get --watch prints changes as they come', async () => {
    const watch = spawn('kubectl', ['get', 'cm', '--watch', '-o', 'name'], { env: environment })
    let seen = ''
    watch.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString('utf8')
    })
    const metadata = { name: 'watched', namespace: 'default' }
    server.storage.create({ group: '', plural: 'configmaps' }, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
    await expect.poll(() => seen, { timeout: 10_000 }).toContain('configmap/watched')
    watch.kill()
    await new Promise((resolve) => watch.once('exit', resolve))
  })

  test('create, replace and delete from files', async () => {
    const path = file('w.yaml', { ...widget('w1'), metadata: { name: 'w1', namespace: 'default' } })
    await prints('create', '-f', path)
    await prints(
      'replace',
      '-f',
      file('w2.yaml', { ...widget('w1', { size: 4 }), metadata: { name: 'w1', namespace: 'default' } }),
    )
    expect(await prints('get', 'wd')).toMatch(/NAME +SIZE +READY +AGE\nw1 +4 +\d+s/)
    expect(await prints('get', 'things')).toContain('w1')
    await prints('delete', '-f', path)
  })

  test('apply takes a List in one document, and still refuses what nobody knows', async () => {
    const item = (name: string, more: object = {}) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'default' },
      ...more,
    })
    const list = (...items: object[]) => ({ apiVersion: 'v1', kind: 'List', items })
    const out = await prints('apply', '-f', file('list.yaml', list(item('in-list-1'), item('in-list-2'))))
    expect(out).toBe('configmap/in-list-1 created\nconfigmap/in-list-2 created\n')
    const odd = await kubectl('apply', '-f', file('odd.yaml', list(item('odd', { nonsense: 1 }))))
    expect(odd.code).toBe(1)
    expect(odd.err).toContain('unknown field "nonsense"')
  })

  test('explain knows built-in kinds and custom ones', async () => {
    expect(await prints('explain', 'deployment.spec.replicas')).toContain('<integer>')
    expect(await prints('explain', 'widget.spec')).toMatch(/size\s+<integer> -required-/)
    expect(await prints('explain', 'virtualservice.spec.http.route.weight')).toContain('share of traffic')
  })

  test('api-resources, api-versions, cluster identity and permissions', async () => {
    const resources = await prints('api-resources')
    expect(resources).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/)
    expect(resources).toMatch(/virtualservices +vs +networking.istio.io\/v1 +true +VirtualService/)
    expect(await prints('api-versions')).toContain('gateway.networking.k8s.io/v1\n')
    expect(await prints('auth', 'can-i', 'create', 'deployments')).toBe('yes\n')
    expect(await prints('auth', 'whoami', '--as=dana@example.com')).toContain('dana@example.com')
  })

  test('typed create commands arrive, though kubectl sends them as protobuf', async () => {
    await prints('create', 'namespace', 'shop')
    await prints('create', '-n', 'shop', 'secret', 'generic', 's', '--from-literal=password=hunter2')
    await prints('create', '-n', 'shop', 'service', 'clusterip', 'web', '--tcp=80:8080')
    await prints(
      'create',
      '-n',
      'shop',
      'deployment',
      'web',
      '--image=registry.example/web:1',
      '--port=8080',
      '--replicas=0',
    )
    expect(server.storage.get({ group: '', plural: 'secrets' }, { namespace: 'shop', name: 's' })?.data).toEqual({
      password: 'aHVudGVyMg==',
    })
    expect(
      server.storage.get({ group: '', plural: 'services' }, { namespace: 'shop', name: 'web' })?.spec,
    ).toMatchObject({
      ports: [{ name: '80-8080', port: 80, protocol: 'TCP', targetPort: 8080 }],
      selector: { app: 'web' },
    })
    const spec = server.storage.get(deployments, { namespace: 'shop', name: 'web' })?.spec
    expect(spec).toMatchObject({
      replicas: 0,
      template: { spec: { containers: [{ name: 'web', ports: [{ containerPort: 8080 }] }] } },
    })
    await prints('delete', 'namespace', 'shop', '--timeout=10s')
    expect(server.storage.list({ group: '', plural: 'services' }, { namespace: 'shop' })).toEqual([])
  })
})
