import type { KubeObject } from '../../../kube/object.ts'
import { age } from '../duration.ts'
import { at, isObject, objects } from '../json.ts'
import { selectorText } from '../selectors.ts'

export interface TableColumn {
  name: string
  type: string
  format?: string
  description?: string
  priority?: number
  cell(object: KubeObject, now: number): unknown
}

type Cell = TableColumn['cell']

const none = '<none>'

function column(name: string, cell: Cell, type = 'string', priority = 0): TableColumn {
  return { name, type, ...(name === 'Name' ? { format: 'name' } : {}), priority, cell }
}

function wide(name: string, cell: Cell): TableColumn {
  return column(name, cell, 'string', 1)
}

const name = column('Name', (object) => object.metadata.name)
const ages = column('Age', (object, now) => age(object.metadata.creationTimestamp, now))
const createdAt = column('Created At', (object) => object.metadata.creationTimestamp, 'date')

function text(...path: string[]): Cell {
  return (object) => {
    const found = at(object, ...path)
    return found === undefined || found === '' ? none : String(found)
  }
}

function number(...path: string[]): Cell {
  return (object) => Number(at(object, ...path) ?? 0)
}

function templateContainers(field: 'name' | 'image'): Cell {
  return (object) =>
    objects(at(object, 'spec', 'template', 'spec', 'containers'))
      .map((container) => String(container[field]))
      .join(',')
}

/** A pod's state in one word, as kubectl prints it: the reason of a waiting or terminated container over the phase. */
export function podStatus(pod: KubeObject): string {
  let reason = String(at(pod, 'status', 'reason') ?? at(pod, 'status', 'phase') ?? '')
  for (const container of objects(at(pod, 'status', 'containerStatuses')).toReversed()) {
    const waiting = at(container, 'state', 'waiting', 'reason')
    const terminated = at(container, 'state', 'terminated')
    if (typeof waiting === 'string') reason = waiting
    else if (isObject(terminated)) {
      reason = typeof terminated.reason === 'string' ? terminated.reason : `ExitCode:${String(terminated.exitCode)}`
    }
  }
  return pod.metadata.deletionTimestamp ? 'Terminating' : reason
}

function podReady(pod: KubeObject): string {
  const ready = objects(at(pod, 'status', 'containerStatuses')).filter((container) => container.ready === true).length
  return `${ready}/${objects(at(pod, 'spec', 'containers')).length}`
}

function restarts(pod: KubeObject): string {
  const counts = objects(at(pod, 'status', 'containerStatuses')).map((container) => Number(container.restartCount ?? 0))
  return String(counts.reduce((total, count) => total + count, 0))
}

function servicePorts(service: KubeObject): string {
  const ports = objects(at(service, 'spec', 'ports'))
  if (ports.length === 0) return none
  return ports
    .map(({ port, nodePort, protocol }) => (nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`))
    .join(',')
}

function externalIp(service: KubeObject): string {
  const addresses = objects(at(service, 'status', 'loadBalancer', 'ingress')).map((entry) => entry.ip ?? entry.hostname)
  if (at(service, 'spec', 'type') === 'ExternalName') return String(at(service, 'spec', 'externalName'))
  if (addresses.length > 0) return addresses.join(',')
  return at(service, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : none
}

function labelPairs(...path: string[]): Cell {
  return (object) => {
    const labels = at(object, ...path)
    const pairs = isObject(labels) ? Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`) : []
    return pairs.length > 0 ? pairs.sort().join(',') : none
  }
}

function dataCount(object: KubeObject): number {
  const size = (field: unknown) => (isObject(field) ? Object.keys(field).length : 0)
  return size(object.data) + size(object.binaryData)
}

function endpointAddresses(endpoints: KubeObject): string {
  const found = objects(endpoints.subsets).flatMap((subset) =>
    objects(subset.addresses).flatMap(({ ip }) =>
      objects(subset.ports).map(({ port }) => `${String(ip)}:${String(port)}`),
    ),
  )
  if (found.length === 0) return none
  return found.length > 3 ? `${found.slice(0, 3).join(',')} + ${found.length - 3} more...` : found.join(',')
}

function hpaTargets(autoscaler: KubeObject): string {
  const current = objects(at(autoscaler, 'status', 'currentMetrics'))
  const metrics = objects(at(autoscaler, 'spec', 'metrics')).map((metric, index) => {
    const kind = String(metric.type).toLowerCase()
    const target = at(metric, kind, 'target', 'averageUtilization')
    const now = at(current[index], kind, 'current', 'averageUtilization')
    const label = at(metric, kind, 'name')
    return `${label ? `${String(label)}: ` : ''}${now === undefined ? '<unknown>' : `${String(now)}%`}/${String(target ?? '<unknown>')}%`
  })
  return metrics.length > 0 ? metrics.join(', ') : none
}

function lastSeen(event: KubeObject, now: number): string {
  const when = event.lastTimestamp ?? at(event, 'series', 'lastObservedTime') ?? event.firstTimestamp ?? event.eventTime
  return age(typeof when === 'string' ? when : event.metadata.creationTimestamp, now)
}

function eventObject(event: KubeObject): string {
  return `${String(at(event, 'involvedObject', 'kind')).toLowerCase()}/${String(at(event, 'involvedObject', 'name'))}`
}

const eventColumns = [
  column('Last Seen', lastSeen),
  column('Type', text('type')),
  column('Reason', text('reason')),
  column('Object', eventObject),
  wide('Subobject', (event) => at(event, 'involvedObject', 'fieldPath') ?? ''),
  wide('Source', (event) => at(event, 'source', 'component') ?? event.reportingComponent ?? ''),
  column('Message', (event) => String(event.message ?? '').trim()),
  wide('First Seen', (event, now) =>
    age(typeof event.firstTimestamp === 'string' ? event.firstTimestamp : event.metadata.creationTimestamp, now),
  ),
  column('Count', (event) => Number(at(event, 'series', 'count') ?? event.count ?? 1), 'integer', 1),
  wide('Name', (event) => event.metadata.name),
]

/** The columns kubectl users know, by `group/plural`. */
export const builtinColumns: Readonly<Record<string, TableColumn[]>> = {
  '/namespaces': [name, column('Status', text('status', 'phase')), ages],
  '/pods': [
    name,
    column('Ready', podReady),
    column('Status', podStatus),
    column('Restarts', restarts),
    ages,
    wide('IP', text('status', 'podIP')),
    wide('Node', text('spec', 'nodeName')),
    wide('Nominated Node', text('status', 'nominatedNodeName')),
    wide('Readiness Gates', () => none),
  ],
  '/services': [
    name,
    column('Type', text('spec', 'type')),
    column('Cluster-IP', text('spec', 'clusterIP')),
    column('External-IP', externalIp),
    column('Port(s)', servicePorts),
    ages,
    wide('Selector', labelPairs('spec', 'selector')),
  ],
  '/configmaps': [name, column('Data', dataCount, 'integer'), ages],
  '/secrets': [name, column('Type', text('type')), column('Data', dataCount, 'integer'), ages],
  '/serviceaccounts': [name, column('Secrets', (object) => objects(object.secrets).length, 'integer'), ages],
  '/events': eventColumns,
  '/endpoints': [name, column('Endpoints', endpointAddresses), ages],
  '/nodes': [
    name,
    column('Status', () => 'Ready'),
    column('Roles', () => none),
    ages,
    column('Version', text('status', 'nodeInfo', 'kubeletVersion')),
  ],
  'apps/deployments': [
    name,
    column(
      'Ready',
      (object) =>
        `${Number(at(object, 'status', 'readyReplicas') ?? 0)}/${Number(at(object, 'spec', 'replicas') ?? 0)}`,
    ),
    column('Up-to-date', number('status', 'updatedReplicas'), 'integer'),
    column('Available', number('status', 'availableReplicas'), 'integer'),
    ages,
    wide('Containers', templateContainers('name')),
    wide('Images', templateContainers('image')),
    wide('Selector', (object) => selectorText(at(object, 'spec', 'selector')) || none),
  ],
  'apps/replicasets': [
    name,
    column('Desired', number('spec', 'replicas'), 'integer'),
    column('Current', number('status', 'replicas'), 'integer'),
    column('Ready', number('status', 'readyReplicas'), 'integer'),
    ages,
    wide('Containers', templateContainers('name')),
    wide('Images', templateContainers('image')),
    wide('Selector', (object) => selectorText(at(object, 'spec', 'selector')) || none),
  ],
  'discovery.k8s.io/endpointslices': [
    name,
    column('AddressType', text('addressType')),
    column(
      'Ports',
      (object) =>
        objects(object.ports)
          .map((port) => port.port)
          .join(',') || none,
    ),
    column(
      'Endpoints',
      (object) =>
        objects(object.endpoints)
          .flatMap((endpoint) => (Array.isArray(endpoint.addresses) ? endpoint.addresses : []))
          .join(',') || '<unset>',
    ),
    ages,
  ],
  'autoscaling/horizontalpodautoscalers': [
    name,
    column(
      'Reference',
      (object) =>
        `${String(at(object, 'spec', 'scaleTargetRef', 'kind'))}/${String(at(object, 'spec', 'scaleTargetRef', 'name'))}`,
    ),
    column('Targets', hpaTargets),
    column('MinPods', text('spec', 'minReplicas')),
    column('MaxPods', number('spec', 'maxReplicas'), 'integer'),
    column('Replicas', number('status', 'currentReplicas'), 'integer'),
    ages,
  ],
  'policy/poddisruptionbudgets': [
    name,
    column('Min Available', (object) => String(at(object, 'spec', 'minAvailable') ?? 'N/A')),
    column('Max Unavailable', (object) => String(at(object, 'spec', 'maxUnavailable') ?? 'N/A')),
    column('Allowed Disruptions', number('status', 'disruptionsAllowed'), 'integer'),
    ages,
  ],
  'coordination.k8s.io/leases': [name, column('Holder', (object) => at(object, 'spec', 'holderIdentity') ?? ''), ages],
  'apiextensions.k8s.io/customresourcedefinitions': [name, createdAt],
  'rbac.authorization.k8s.io/roles': [name, createdAt],
  'rbac.authorization.k8s.io/clusterroles': [name, createdAt],
  'rbac.authorization.k8s.io/rolebindings': [
    name,
    column('Role', (object) => `${String(at(object, 'roleRef', 'kind'))}/${String(at(object, 'roleRef', 'name'))}`),
    ages,
  ],
  'rbac.authorization.k8s.io/clusterrolebindings': [
    name,
    column('Role', (object) => `${String(at(object, 'roleRef', 'kind'))}/${String(at(object, 'roleRef', 'name'))}`),
    ages,
  ],
  'admissionregistration.k8s.io/validatingadmissionpolicies': [
    name,
    column('Validations', (object) => objects(at(object, 'spec', 'validations')).length, 'integer'),
    column('ParamKind', (object) =>
      at(object, 'spec', 'paramKind', 'kind')
        ? `${String(at(object, 'spec', 'paramKind', 'apiVersion'))}/${String(at(object, 'spec', 'paramKind', 'kind'))}`
        : '<unset>',
    ),
    ages,
  ],
  'admissionregistration.k8s.io/mutatingadmissionpolicies': [
    name,
    column('Mutations', (object) => objects(at(object, 'spec', 'mutations')).length, 'integer'),
    column('ParamKind', (object) =>
      at(object, 'spec', 'paramKind', 'kind')
        ? `${String(at(object, 'spec', 'paramKind', 'apiVersion'))}/${String(at(object, 'spec', 'paramKind', 'kind'))}`
        : '<unset>',
    ),
    ages,
  ],
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': [
    name,
    column('PolicyName', text('spec', 'policyName')),
    ages,
  ],
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings': [
    name,
    column('PolicyName', text('spec', 'policyName')),
    ages,
  ],
}
