import { at, ensureObject, isObject, type Json, objects } from '../json.ts'
import { canonicalQuantity } from '../quantity.ts'
import { dropZeros } from './pod-zeros.ts'

/** Fills in a pod spec as the real server does for pods and for pod templates alike. */
export function defaultPodSpec(spec: Json): void {
  dropZeros(spec)
  spec.restartPolicy ??= 'Always'
  spec.dnsPolicy ??= 'ClusterFirst'
  spec.schedulerName ??= 'default-scheduler'
  spec.terminationGracePeriodSeconds ??= 30
  spec.securityContext ??= {}
  if (spec.serviceAccountName === undefined && spec.serviceAccount !== undefined) {
    spec.serviceAccountName = spec.serviceAccount
  }
  if (spec.serviceAccountName !== undefined && spec.serviceAccountName !== '') {
    spec.serviceAccount = spec.serviceAccountName
  }
  for (const container of [...objects(spec.containers), ...objects(spec.initContainers)]) defaultContainer(container)
  for (const volume of objects(spec.volumes)) defaultVolume(volume)
}

/** What only a pod gets, not a template. */
export function defaultPod(pod: Json): void {
  const spec = ensureObject(pod, 'spec')
  defaultPodSpec(spec)
  spec.enableServiceLinks ??= true
  spec.serviceAccountName ??= 'default'
  spec.serviceAccount = spec.serviceAccountName
  spec.priority ??= 0
  spec.preemptionPolicy ??= 'PreemptLowerPriority'
  spec.tolerations ??= ['not-ready', 'unreachable'].map((condition) => ({
    key: `node.kubernetes.io/${condition}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: 300,
  }))
  for (const container of objects(spec.containers)) {
    const limits = at(container, 'resources', 'limits')
    if (!isObject(limits)) continue
    const requests = ensureObject(ensureObject(container, 'resources'), 'requests')
    for (const [name, quantity] of Object.entries(limits)) requests[name] ??= quantity
  }
}

function defaultContainer(container: Json): void {
  container.terminationMessagePath ??= '/dev/termination-log'
  container.terminationMessagePolicy ??= 'File'
  container.resources ??= {}
  container.imagePullPolicy ??= isLatest(String(container.image ?? '')) ? 'Always' : 'IfNotPresent'
  for (const port of objects(container.ports)) port.protocol ??= 'TCP'
  for (const env of objects(container.env)) {
    const fieldRef = at(env, 'valueFrom', 'fieldRef')
    if (isObject(fieldRef)) fieldRef.apiVersion ??= 'v1'
    defaultDivisor(env.valueFrom)
  }
  canonicalQuantities(container.resources)
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[kind]
    if (isObject(probe)) defaultProbe(probe)
  }
  for (const hook of ['postStart', 'preStop']) {
    const httpGet = at(container, 'lifecycle', hook, 'httpGet')
    if (isObject(httpGet)) defaultHttpGet(httpGet)
  }
}

function canonicalQuantities(resources: unknown): void {
  for (const kind of ['limits', 'requests']) {
    const quantities = at(resources, kind)
    if (!isObject(quantities)) continue
    for (const [name, quantity] of Object.entries(quantities)) quantities[name] = canonicalQuantity(String(quantity))
  }
}

function defaultDivisor(source: unknown): void {
  const ref = at(source, 'resourceFieldRef')
  if (isObject(ref)) ref.divisor = canonicalQuantity(String(ref.divisor ?? '0'))
}

/** An image without tag, or tagged latest; one with a digest is never latest. */
function isLatest(image: string): boolean {
  if (image.includes('@')) return false
  const name = image.slice(image.lastIndexOf('/') + 1)
  return !name.includes(':') || name.endsWith(':latest')
}

function defaultProbe(probe: Json): void {
  probe.timeoutSeconds ??= 1
  probe.periodSeconds ??= 10
  probe.successThreshold ??= 1
  probe.failureThreshold ??= 3
  if (isObject(probe.httpGet)) defaultHttpGet(probe.httpGet)
  if (isObject(probe.grpc)) probe.grpc.service ??= ''
}

function defaultHttpGet(action: Json): void {
  action.path ??= '/'
  action.scheme ??= 'HTTP'
}

function defaultVolume(volume: Json): void {
  const sources = Object.keys(volume).filter((name) => name !== 'name')
  if (sources.length === 0) volume.emptyDir = {}
  for (const name of ['configMap', 'secret', 'downwardAPI', 'projected']) {
    const source = volume[name]
    if (isObject(source)) source.defaultMode ??= 420
  }
  if (isObject(volume.hostPath)) volume.hostPath.type ??= ''
  if (isObject(volume.emptyDir) && volume.emptyDir.sizeLimit !== undefined) {
    volume.emptyDir.sizeLimit = canonicalQuantity(String(volume.emptyDir.sizeLimit))
  }
  defaultFiles(volume.downwardAPI)
  for (const source of objects(at(volume, 'projected', 'sources'))) {
    defaultFiles(source.downwardAPI)
    if (isObject(source.serviceAccountToken)) source.serviceAccountToken.expirationSeconds ??= 3600
  }
  const claim = at(volume, 'ephemeral', 'volumeClaimTemplate')
  if (!isObject(claim)) return
  ensureObject(claim, 'metadata')
  const spec = ensureObject(claim, 'spec')
  spec.volumeMode ??= 'Filesystem'
  canonicalQuantities(spec.resources)
}

function defaultFiles(source: unknown): void {
  for (const file of objects(at(source, 'items'))) {
    if (isObject(file.fieldRef)) file.fieldRef.apiVersion ??= 'v1'
    defaultDivisor(file)
  }
}
