import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { rawClient } from '../conformance/apiserver.client.ts'
import type { ConnectedServer } from '../conformance/apiserver.conformance.ts'
import { realApiServer } from '../conformance/apiserver.real.ts'
import { collectionOf } from './collection.ts'
import { type Manifest, render, top } from './kustomize.ts'
import { isThere, output } from './program.ts'

const hasHelm = await isThere('helm', 'version')
const chart = `${top}deploy/helm`
const read = (path: string) => readFileSync(`${top}${path}`, 'utf8')
const yamlIn = (folder: string) => readdirSync(`${top}${folder}`).filter((name) => /\.yaml$/.test(name))

/** Helm reads no file outside of a chart. `npx vitest run test/deploy -u` copies them anew. */
const copies: Record<string, string> = {
  ...Object.fromEntries(yamlIn('crds').map((name) => [`crds/${name}`, `crds/${name}`])),
  ...Object.fromEntries(
    yamlIn('deploy/policies')
      .filter((name) => name !== 'kustomization.yaml')
      .map((name) => [`policies/${name}`, `deploy/policies/${name}`]),
  ),
  'rbac.yaml': 'deploy/base/rbac.yaml',
  'people.yaml': 'deploy/base/people.yaml',
  'secret-reader.yaml': 'deploy/base/secret-reader.yaml',
}

describe('the chart', () => {
  test.each(Object.entries(copies))('has %s as it is in %s', async (copy, original) => {
    await expect(read(original)).toMatchFileSnapshot(`${chart}/files/${copy}`)
  })

  test('has no copy of what is gone', () => {
    const there = readdirSync(`${chart}/files`, { recursive: true, encoding: 'utf8' })
    expect(there.filter((name) => name.endsWith('.yaml') && !(name in copies))).toEqual([])
  })

  test('has the version of the program', () => {
    const { version } = JSON.parse(read('package.json'))
    expect(parse(read('deploy/helm/Chart.yaml'))).toMatchObject({ version, appVersion: version })
  })

  test('has a schema of exactly its values', () => {
    const { properties } = JSON.parse(read('deploy/helm/values.schema.json'))
    delete properties.global
    expect(pathsOf(properties).sort()).toEqual(pathsOfValues(parse(read('deploy/helm/values.yaml')), properties).sort())
  })

  test('reads every value somewhere', () => {
    const templates = readdirSync(`${chart}/templates`).map((name) => read(`deploy/helm/templates/${name}`))
    const text = templates.join('\n')
    const paths = pathsOf(JSON.parse(read('deploy/helm/values.schema.json')).properties)
    expect(paths.filter((path) => path !== 'global' && !text.includes(`.Values.${path}`))).toEqual([])
  })
})

describe.skipIf(!hasHelm)(hasHelm ? 'with helm' : 'with helm (skipped: helm is not on the PATH)', () => {
  test('the chart passes helm lint', async () => {
    expect(await output('helm', ['lint', '--strict', chart])).toContain('0 chart(s) failed')
  })

  test.each<[string, object, string]>([
    ['by default', {}, 'deploy/overlays/cluster'],
    ['for one namespace', { namespaces: ['shop'] }, 'deploy/overlays/namespace'],
  ])('%s it renders what kustomize does', async (_, values, folder) => {
    const ours = await template(values)
    const theirs = render(folder).filter(({ kind }) => kind !== 'Namespace')
    const idOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`
    const byId = (objects: Manifest[]) =>
      Object.fromEntries(objects.map((object) => [idOf(object), plain(object)]).sort())
    expect(byId(ours)).toEqual(byId(theirs))
  })

  test('with everything turned on, and with everything turned off, an API server takes it', async () => {
    for (const connect of servers) {
      const server = await connect()
      try {
        await taken(server, await template(everything))
        await taken(server, await template(nothing, 'other'))
      } finally {
        await server.stop()
      }
    }
  }, 120_000)

  test('what is turned on is there, under the names that were given', async () => {
    const objects = await template(everything, 'blue')
    const one = (kind: string, name: string) =>
      objects.find((each) => each.kind === kind && each.metadata.name === name) ?? {}
    const [container] = one('Deployment', 'blue').spec.template.spec.containers
    expect(container.image).toBe(`registry.example.com/sluice@sha256:${'a'.repeat(64)}`)
    expect(container.args).toEqual([
      'controller',
      '--leader-elect',
      '--namespace=shop',
      '--namespace=delivery',
      '--take-over',
    ])
    expect(container.env).toEqual(
      expect.arrayContaining([
        { name: 'SLUICE_PROMETHEUS', value: 'https://prometheus.example.com' },
        { name: 'SLUICE_CLUSTER_NAME', value: 'eu-1' },
        { name: 'SLUICE_LOG_LEVEL', value: 'debug' },
        { name: 'SLUICE_PAGE', value: '[::]:9000' },
        { name: 'SLUICE_PAGE_HOSTS', value: 'sluice.example.com,sluice.internal' },
        ...slackVariables('chat'),
        { name: 'HTTPS_PROXY', value: 'http://proxy:3128' },
      ]),
    )
    expect(container.ports).toContainEqual({ name: 'page', containerPort: 9000, protocol: 'TCP' })
    for (const role of ['viewer', 'approver', 'operator', 'override'])
      expect(one('ClusterRole', `blue-${role}`).rules).not.toEqual([])
    expect(one('Role', 'blue-secrets')).toMatchObject({
      metadata: { namespace: 'delivery' },
      rules: [{ resources: ['secrets'], resourceNames: ['shop-config-git'], verbs: ['get'] }],
    })
    expect(one('Role', 'blue-serviceaccounts')).toMatchObject({
      rules: [{ resources: ['serviceaccounts'], resourceNames: ['shop-deployer'], verbs: ['impersonate'] }],
    })
    expect(one('ServiceMonitor', 'blue').spec.endpoints[0].interval).toBe('30s')
    for (const kind of ['ValidatingAdmissionPolicy', 'MutatingAdmissionPolicy']) {
      const policies = objects.filter((each) => each.kind === kind)
      const conditions = policies.flatMap((each) => each.spec.matchConditions ?? [])
      const own = conditions.find(({ name }: { name: string }) => name === 'not-sluice')
      expect(own.expression).toContain(
        "(request.userInfo.username in ['system:serviceaccount:a:sluice', 'system:serviceaccount:b:sluice'])",
      )
    }
  })

  test('the policies take the service account of the release for Sluice', async () => {
    const objects = await template({ serviceAccount: { name: 'pilot' } }, 'green', 'delivery-system')
    const text = stringify(objects.filter(({ kind }) => /AdmissionPolicy$/.test(kind)))
    expect(text).toContain("'system:serviceaccount:delivery-system:pilot'")
    expect(text).not.toContain('sluice-system')
  })

  test('what is turned off is gone', async () => {
    const kinds = new Set((await template(nothing)).map(({ kind }) => kind))
    expect([...kinds].sort()).toEqual([
      'ClusterRole',
      'ClusterRoleBinding',
      'Deployment',
      'Role',
      'RoleBinding',
      'Service',
      'ServiceAccount',
    ])
    const bound = (await template(nothing)).filter(({ roleRef }) => roleRef).map(({ roleRef }) => roleRef.name)
    expect(bound.sort()).toEqual(['sluice', 'sluice-lease', 'sluice-namespaces'])
  })

  test.each(['off', false])('a page that is turned off (%s, as YAML may have it) has no port', async (listen) => {
    const deployment = (await template({ page: { listen } })).find(({ kind }) => kind === 'Deployment')
    const [container] = deployment?.spec.template.spec.containers ?? []
    expect(container.env).toContainEqual({ name: 'SLUICE_PAGE', value: 'off' })
    expect(container.ports.map(({ name }: { name: string }) => name)).toEqual(['http'])
  })

  test('CRDs stay when the chart is uninstalled', async () => {
    const crds = (await template({})).filter(({ kind }) => kind === 'CustomResourceDefinition')
    expect(crds).toHaveLength(4)
    for (const { metadata } of crds) expect(metadata.annotations['helm.sh/resource-policy']).toBe('keep')
  })

  test.each<[string, object, string]>([
    ['a misspelt value', { replica: 3 }, 'replica'],
    ['a misspelt value further in', { image: { repo: 'x' } }, 'repo'],
    ['no replica', { replicas: 0 }, 'replicas'],
    ['a Prometheus that is no URL', { prometheus: { url: 'prometheus:9090' } }, 'prometheus'],
    ['a namespace that is none', { namespaces: ['Shop'] }, 'namespaces'],
    ['Secrets without names', { secrets: [{ namespace: 'shop' }] }, 'secrets'],
    ['a page that listens nowhere', { page: { listen: 'sluice.example.com' } }, 'page'],
    ['a user name that would end the quote', { controllerUsernames: ["x'] || true || ['"] }, 'controllerUsernames'],
  ])('%s is refused, and named', async (_, values, named) => {
    await expect(template(values)).rejects.toThrow(named)
  })
})

const everything = {
  image: {
    repository: 'registry.example.com/sluice',
    digest: `sha256:${'a'.repeat(64)}`,
    pullSecrets: [{ name: 'registry' }],
  },
  namespaces: ['shop', 'delivery'],
  prometheus: { url: 'https://prometheus.example.com' },
  clusterName: 'eu-1',
  logLevel: 'debug',
  page: { listen: '[::]:9000', hosts: ['sluice.example.com', 'sluice.internal'] },
  slack: { secretName: 'chat' },
  secrets: [{ namespace: 'delivery', names: ['shop-config-git'] }],
  serviceAccounts: [{ namespace: 'delivery', names: ['shop-deployer'] }],
  controllerUsernames: ['system:serviceaccount:a:sluice', 'system:serviceaccount:b:sluice'],
  serviceAccount: { annotations: { 'example.com/role': 'sluice' } },
  priorityClass: { name: 'important' },
  serviceMonitor: { enabled: true, interval: '30s', labels: { release: 'prometheus' } },
  networkPolicy: {
    ingressFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
  },
  extraArgs: ['--take-over'],
  extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
  podAnnotations: { 'example.com/team': 'delivery' },
  podLabels: { team: 'delivery' },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { podAntiAffinity: {} },
}

const nothing = {
  prometheus: { url: '' },
  deployments: { enabled: false },
  policies: { enabled: false },
  latch: { enabled: false },
  page: { listen: 'off' },
  crds: { install: false },
  priorityClass: { create: false, name: 'system-cluster-critical' },
  podDisruptionBudget: { enabled: false },
  networkPolicy: { enabled: false },
}

function slackVariables(name: string) {
  const keys = { TOKEN: 'token', APP_TOKEN: 'appToken', CHANNEL: 'channel', SIGNING_SECRET: 'signingSecret' }
  return Object.entries(keys).map(([variable, key]) => ({
    name: `SLUICE_SLACK_${variable}`,
    valueFrom: { secretKeyRef: { name, key, optional: true } },
  }))
}

const real = realApiServer()
const servers: (() => Promise<ConnectedServer>)[] = [
  async () => {
    const server = await startApiServer()
    return { client: rawClient(server.url, server.token()), controllers: true, stop: () => server.stop() }
  },
  ...(real ? [real] : []),
]

async function template(values: object, release = 'sluice', namespace = 'sluice-system'): Promise<Manifest[]> {
  const words = ['template', release, chart, '--namespace', namespace, '--values', '-']
  const text = await output('helm', words, { input: stringify(values) })
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((object) => object !== null)
}

/** Creates each object with strict validation. */
async function taken({ client }: ConnectedServer, objects: Manifest[]): Promise<void> {
  const namespaces = new Set(objects.map(({ metadata }) => metadata.namespace).filter(Boolean))
  for (const name of namespaces)
    await client.request('POST', '/api/v1/namespaces', {
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
    })
  const monitors = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await client.request('POST', monitors, { body: serviceMonitorCrd })
  await vi.waitFor(async () => {
    const { status } = await client.request('GET', '/apis/monitoring.coreos.com/v1/servicemonitors')
    expect(status).toBe(200)
  }, 20_000)
  for (const object of objects) {
    const path = `${await collectionOf(client, object)}?fieldValidation=Strict`
    const answer = await client.request('POST', path, { body: object })
    const known = answer.body.reason === 'AlreadyExists' && object.kind === 'CustomResourceDefinition'
    expect(known ? '' : (answer.body.message ?? ''), `${object.kind} ${object.metadata.name}`).toBe('')
  }
}

/** As much of the Prometheus operator's definition as the ServiceMonitor uses. */
const text = { type: 'string' }
const serviceMonitorCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'servicemonitors.monitoring.coreos.com' },
  spec: {
    group: 'monitoring.coreos.com',
    scope: 'Namespaced',
    names: { kind: 'ServiceMonitor', plural: 'servicemonitors' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['endpoints', 'selector'],
                properties: {
                  selector: {
                    type: 'object',
                    properties: { matchLabels: { type: 'object', additionalProperties: text } },
                  },
                  endpoints: {
                    type: 'array',
                    items: { type: 'object', properties: { port: text, path: text, interval: text } },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
}

const helmLabels = [
  'app.kubernetes.io/instance',
  'app.kubernetes.io/version',
  'app.kubernetes.io/managed-by',
  'helm.sh/chart',
]

/** An object without what only Helm adds: its labels, the annotation that keeps CRDs, and the order of variables. */
function plain({ ...object }: Manifest): Manifest {
  const stripped = JSON.parse(JSON.stringify(object), (key, value) => {
    if (helmLabels.includes(key) || key === 'helm.sh/resource-policy') return undefined
    return value
  })
  for (const field of ['labels', 'annotations']) {
    const { 'app.kubernetes.io/name': _name, ...others } = stripped.metadata[field] ?? {}
    if (Object.keys(others).length === 0) delete stripped.metadata[field]
  }
  return stripped
}

/** Dotted paths of the leaves of a schema: what has no properties of its own. */
function pathsOf(properties: Record<string, Manifest>, prefix = ''): string[] {
  return Object.entries(properties).flatMap(([name, schema]) =>
    schema.properties && name !== 'resources' ? pathsOf(schema.properties, `${prefix}${name}.`) : [`${prefix}${name}`],
  )
}

/** The same of the values, going only as deep as the schema does. */
function pathsOfValues(values: Manifest, properties: Record<string, Manifest>, prefix = ''): string[] {
  return Object.entries<Manifest>(values).flatMap(([name, value]) =>
    properties[name]?.properties && name !== 'resources'
      ? pathsOfValues(value, properties[name].properties, `${prefix}${name}.`)
      : [`${prefix}${name}`],
  )
}
