import { readdirSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { type Manifest, render, top } from './kustomize.ts'
import { isThere, output } from './program.ts'

const hasKubectl = await isThere('kubectl', 'version', '--client')
const overlays = ['deploy', 'deploy/overlays/cluster', 'deploy/overlays/namespace']
const idOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`

test('every CRD and every policy is part of every installation', () => {
  const installed = render('deploy').map(idOf)
  const definitions = readdirSync(`${top}crds`).filter((name) => name.endsWith('.yaml'))
  const names = definitions.map((file) => file.replace(/^sluice\.dev_(.*)\.yaml$/, '$1.sluice.dev'))
  expect(installed.filter((id) => id.startsWith('CustomResourceDefinition'))).toEqual(
    names.sort().map((name) => `CustomResourceDefinition /${name}`),
  )
  const policies = readdirSync(`${top}deploy/policies`).filter((name) => name !== 'kustomization.yaml')
  expect(installed.filter((id) => /AdmissionPolicy /.test(id))).toHaveLength(policies.length)
  expect(installed.filter((id) => /AdmissionPolicyBinding /.test(id))).toHaveLength(policies.length)
})

test('the installation for one namespace binds the same roles there, and tells the controller to stay there', () => {
  const bound = (folder: string, kind: string) =>
    render(folder)
      .filter((each) => each.kind === kind)
      .map((each) => [each.metadata.namespace, each.roleRef.name].join('/'))
  expect(bound('deploy/overlays/cluster', 'ClusterRoleBinding').sort()).toEqual([
    '/sluice',
    '/sluice-deployments',
    '/sluice-namespaces',
  ])
  expect(bound('deploy/overlays/namespace', 'ClusterRoleBinding')).toEqual(['/sluice-namespaces'])
  expect(bound('deploy/overlays/namespace', 'RoleBinding').sort()).toEqual([
    'shop/sluice',
    'shop/sluice-deployments',
    'sluice-system/sluice-lease',
  ])
  const [container] = render('deploy/overlays/namespace').find((each) => each.kind === 'Deployment').spec.template.spec
    .containers
  expect(container.args).toEqual(['controller', '--leader-elect', '--namespace=shop'])
})

test('labels, selectors, ports and accounts agree', () => {
  const objects = render('deploy')
  const one = (kind: string) => objects.find((each) => each.kind === kind)
  const { template, selector } = one('Deployment').spec
  const { matchLabels } = selector
  expect(template.metadata.labels).toMatchObject(matchLabels)
  expect(one('Service').spec.selector).toEqual(matchLabels)
  expect(one('PodDisruptionBudget').spec.selector.matchLabels).toEqual(matchLabels)
  expect(one('NetworkPolicy').spec.podSelector.matchLabels).toEqual(matchLabels)
  for (const spread of template.spec.topologySpreadConstraints) {
    expect(spread.labelSelector.matchLabels).toEqual(matchLabels)
  }
  const [monitor] = render('deploy/components/servicemonitor')
  expect(one('Service').metadata.labels).toMatchObject(monitor.spec.selector.matchLabels)
  const [container] = template.spec.containers
  const [port] = container.ports
  expect(one('Service').spec.ports.map((each: Manifest) => each.targetPort)).toEqual([port.name])
  expect(monitor.spec.endpoints.map((each: Manifest) => each.port)).toEqual([one('Service').spec.ports[0].name])
  expect(one('NetworkPolicy').spec.ingress[0].ports[0].port).toBe(port.containerPort)
  expect(container.env).toContainEqual({ name: 'SLUICE_LISTEN', value: `:${port.containerPort}` })
  expect(template.spec.serviceAccountName).toBe(one('ServiceAccount').metadata.name)
  expect(template.spec.priorityClassName).toBe(one('PriorityClass').metadata.name)
  expect(one('Namespace').metadata.name).toBe(one('Deployment').metadata.namespace)
  expect(one('Deployment').spec.replicas - one('PodDisruptionBudget').spec.maxUnavailable).toBeGreaterThanOrEqual(1)
})

describe.skipIf(!hasKubectl)('with the real kubectl', () => {
  test('the kustomization of docs/install.md adds, leaves out and sets what it says', async () => {
    const install = await readFile(`${top}docs/install.md`, 'utf8')
    const [, own = ''] = /```yaml\n([\s\S]*?)```/.exec(install) ?? []
    const dir = await mkdtemp(join(tmpdir(), 'sluice-kustomize-'))
    try {
      for (const folder of ['deploy', 'crds'])
        await cp(`${top}${folder}`, join(dir, 'sluice', folder), { recursive: true })
      await writeFile(join(dir, 'kustomization.yaml'), own)
      const rendered = parseAllDocuments(await output('kubectl', ['kustomize', dir])).map((document) => document.toJS())
      const kinds = rendered.map(({ kind }) => kind)
      expect(kinds).toEqual(expect.arrayContaining(['ServiceMonitor', 'PrometheusRule', 'Deployment']))
      expect(kinds.filter((kind) => kind.startsWith('MutatingAdmissionPolicy'))).toEqual([])
      const usual = render('deploy').filter(({ kind }) => !kind.startsWith('MutatingAdmissionPolicy'))
      expect(rendered).toHaveLength(usual.length + 2)
      const containersOf = (objects: Manifest[]) =>
        objects.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers
      const [container] = containersOf(rendered)
      expect(container.image).toBe('registry.example.com/sluice:0.1.0')
      const url = { name: 'SLUICE_PROMETHEUS', value: 'http://prometheus.monitoring:9090' }
      expect(container.env).toContainEqual(url)
      expect(container.env).toHaveLength(containersOf(usual)[0].env.length)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  test.each(overlays)('%s is rendered as this reader does', async (folder) => {
    const rendered = parseAllDocuments(await output('kubectl', ['kustomize', folder], { cwd: top })).map((document) =>
      document.toJS(),
    )
    const sorted = (objects: Manifest[]) => objects.sort((a, b) => idOf(a).localeCompare(idOf(b)))
    expect(sorted(rendered)).toEqual(sorted(render(folder)))
  })
})
