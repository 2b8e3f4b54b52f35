import { at, ensureObject, isObject, type Json, objects } from '../json.ts'
import { dropZeros } from './pod-zeros.ts'
import { defaultDivisor, roundQuantities, roundResources } from './resource-defaults.ts'
import { defaultVolume, pullPolicy } from './volume-defaults.ts'

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
  roundQuantities(spec.overhead)
  roundResources(spec.resources)
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
  container.imagePullPolicy ??= pullPolicy(container.image)
  for (const port of objects(container.ports)) port.protocol ??= 'TCP'
  for (const env of objects(container.env)) {
    const fieldRef = at(env, 'valueFrom', 'fieldRef')
    if (isObject(fieldRef)) fieldRef.apiVersion ??= 'v1'
    defaultDivisor(env.valueFrom)
  }
  roundResources(container.resources)
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[kind]
    if (isObject(probe)) defaultProbe(probe)
  }
  for (const hook of ['postStart', 'preStop']) {
    const httpGet = at(container, 'lifecycle', hook, 'httpGet')
    if (isObject(httpGet)) defaultHttpGet(httpGet)
  }
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
