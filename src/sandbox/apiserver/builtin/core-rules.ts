import { at, clone, ensureObject, equal, isObject, type Json, objects } from '../json.ts'
import type { TypeRules } from '../resource-type.ts'
import { type Cause, fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'

/** Hands out cluster IPs of 10.96.0.0/16 in order. */
export function serviceRules(): TypeRules {
  let next = 10
  return {
    defaults(service, old) {
      const spec = ensureObject(service, 'spec')
      spec.type ??= 'ClusterIP'
      spec.sessionAffinity ??= 'None'
      for (const port of objects(spec.ports)) {
        port.protocol ??= 'TCP'
        port.targetPort ??= port.port
      }
      service.status ??= { loadBalancer: {} }
      if (spec.type === 'ExternalName') return
      spec.internalTrafficPolicy ??= 'Cluster'
      spec.ipFamilies ??= ['IPv4']
      spec.ipFamilyPolicy ??= 'SingleStack'
      const address = at(old, 'spec', 'clusterIP')
      if (spec.clusterIP === undefined || spec.clusterIP === '') {
        if (typeof address === 'string') spec.clusterIP = address
        else {
          spec.clusterIP = `10.96.${next >> 8}.${next & 255}`
          next++
        }
      }
      spec.clusterIPs ??= [spec.clusterIP]
    },
    prepare(service, old) {
      if (!old) service.status = { loadBalancer: {} }
    },
    validate(service, old) {
      const spec = isObject(service.spec) ? service.spec : {}
      const causes: Cause[] = []
      const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
      if (!types.includes(String(spec.type))) causes.push(fieldNotSupported('spec.type', spec.type, types))
      const ports = objects(spec.ports)
      if (ports.length === 0 && spec.type !== 'ExternalName' && spec.clusterIP !== 'None') {
        causes.push(fieldRequired('spec.ports'))
      }
      for (const [index, port] of ports.entries()) {
        const number = Number(port.port)
        if (ports.length > 1 && !port.name) causes.push(fieldRequired(`spec.ports[${index}].name`))
        if (!(number >= 1 && number <= 65535)) {
          causes.push(fieldInvalid(`spec.ports[${index}].port`, port.port, 'must be between 1 and 65535, inclusive'))
        }
      }
      const before = at(old, 'spec', 'clusterIP')
      if (before !== undefined && spec.type !== 'ExternalName' && spec.clusterIP !== before) {
        causes.push(fieldInvalid('spec.clusterIPs[0]', spec.clusterIP, 'may not change once set'))
      }
      return causes
    },
  }
}

export const namespaceRules: TypeRules = {
  defaults(namespace, old) {
    const labels = ensureObject(namespace.metadata, 'labels')
    labels['kubernetes.io/metadata.name'] ??= namespace.metadata.name
    const spec = ensureObject(namespace, 'spec')
    if (!old) spec.finalizers ??= ['kubernetes']
  },
  prepare(namespace, old) {
    if (old) namespace.spec = clone(old.spec)
    else namespace.status = { phase: 'Active' }
  },
}

export const secretRules: TypeRules = {
  defaults(secret) {
    secret.type ??= 'Opaque'
    dropEmpty(secret, ['data', 'stringData'])
    if (!isObject(secret.stringData)) return
    const data = ensureObject(secret, 'data')
    for (const [key, text] of Object.entries(secret.stringData))
      data[key] = Buffer.from(String(text)).toString('base64')
    delete secret.stringData
  },
  validate(secret, old) {
    const causes = immutableData(secret, old, ['data'])
    for (const [key, text] of Object.entries(isObject(secret.data) ? secret.data : {})) {
      if (typeof text !== 'string' || !/^[A-Za-z0-9+/\s]*={0,2}$/.test(text)) {
        causes.push(fieldInvalid(`data[${key}]`, '<value hidden>', 'illegal base64 data'))
      }
    }
    if (old && secret.type !== old.type) causes.push(fieldInvalid('type', secret.type, 'field is immutable'))
    return causes
  },
}

export const configMapRules: TypeRules = {
  defaults: (configMap) => dropEmpty(configMap, ['data', 'binaryData']),
  validate: (configMap, old) => [...validKeys(configMap), ...immutableData(configMap, old, ['data', 'binaryData'])],
}

/** Maps that Go leaves out when they are empty. */
function dropEmpty(object: Json, fields: string[]): void {
  for (const field of fields) {
    const map = object[field]
    if (isObject(map) && Object.keys(map).length === 0) delete object[field]
  }
}

function validKeys(object: Json): Cause[] {
  return Object.keys(isObject(object.data) ? object.data : {})
    .filter((key) => !/^[-._a-zA-Z0-9]+$/.test(key))
    .map((key) =>
      fieldInvalid(
        `data[${key}]`,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    )
}

function immutableData(object: Json, old: Json | undefined, fields: string[]): Cause[] {
  if (old?.immutable !== true) return []
  const causes: Cause[] = []
  if (object.immutable !== true) causes.push(fieldForbidden('immutable', 'field is immutable when `immutable` is set'))
  for (const field of fields) {
    if (!equal(object[field], old[field])) {
      causes.push(fieldForbidden(field, 'field is immutable when `immutable` is set'))
    }
  }
  return causes
}

export const endpointSliceRules: TypeRules = {
  defaults(slice) {
    for (const port of objects(slice.ports)) {
      port.name ??= ''
      port.protocol ??= 'TCP'
    }
  },
  validate(slice, old) {
    const types = ['FQDN', 'IPv4', 'IPv6']
    if (!types.includes(String(slice.addressType))) return [fieldNotSupported('addressType', slice.addressType, types)]
    return old && old.addressType !== slice.addressType
      ? [fieldInvalid('addressType', slice.addressType, 'field is immutable')]
      : []
  },
}

export const endpointsRules: TypeRules = {
  defaults(endpoints) {
    for (const subset of objects(endpoints.subsets)) for (const port of objects(subset.ports)) port.protocol ??= 'TCP'
  },
}

export const autoscalerRules: TypeRules = {
  defaults(autoscaler) {
    const spec = ensureObject(autoscaler, 'spec')
    spec.minReplicas ??= 1
    spec.metrics ??= [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ]
  },
  validate(autoscaler) {
    const min = Number(at(autoscaler, 'spec', 'minReplicas'))
    const max = Number(at(autoscaler, 'spec', 'maxReplicas'))
    if (max < 1) return [fieldInvalid('spec.maxReplicas', max, 'must be greater than 0')]
    return max < min ? [fieldInvalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`')] : []
  },
}

/** The Lease's times are MicroTimes; the server keeps what it is given. */
export const leaseRules: TypeRules = {
  validate(lease) {
    const duration = at(lease, 'spec', 'leaseDurationSeconds')
    return typeof duration === 'number' && duration <= 0
      ? [fieldInvalid('spec.leaseDurationSeconds', duration, 'must be greater than 0')]
      : []
  },
}

export const bindingRules: TypeRules = {
  defaults(binding) {
    if (isObject(binding.roleRef)) binding.roleRef.apiGroup ??= 'rbac.authorization.k8s.io'
    for (const subject of objects(binding.subjects)) {
      if (subject.kind !== 'ServiceAccount') subject.apiGroup ??= 'rbac.authorization.k8s.io'
    }
  },
  validate: (binding, old) =>
    old && !equal(binding.roleRef, old.roleRef)
      ? [fieldInvalid('roleRef', binding.roleRef, 'cannot change roleRef')]
      : [],
}

/** Validating and mutating admission policies share these. */
export const policyRules: TypeRules = {
  defaults(policy) {
    const spec = ensureObject(policy, 'spec')
    spec.failurePolicy ??= 'Fail'
    defaultMatch(ensureObject(spec, 'matchConstraints'))
  },
  validate(policy) {
    const rules = objects(at(policy, 'spec', 'matchConstraints', 'resourceRules'))
    return rules.length === 0 ? [fieldRequired('spec.matchConstraints.resourceRules')] : []
  },
}

export const policyBindingRules: TypeRules = {
  defaults(binding) {
    const match = at(binding, 'spec', 'matchResources')
    if (isObject(match)) defaultMatch(match)
  },
  validate(binding) {
    if (binding.kind !== 'ValidatingAdmissionPolicyBinding') return []
    const actions = at(binding, 'spec', 'validationActions')
    return Array.isArray(actions) && actions.length > 0 ? [] : [fieldRequired('spec.validationActions')]
  },
}

function defaultMatch(match: Json): void {
  match.matchPolicy ??= 'Equivalent'
  match.namespaceSelector ??= {}
  match.objectSelector ??= {}
  for (const rule of objects(match.resourceRules)) rule.scope ??= '*'
}
