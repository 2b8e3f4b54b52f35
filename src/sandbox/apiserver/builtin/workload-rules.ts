import { at, ensureObject, equal, isObject, type Json, objects } from '../json.ts'
import type { TypeRules } from '../resource-type.ts'
import { matchesSelector } from '../selectors.ts'
import { type Cause, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'
import { defaultPod, defaultPodSpec } from './pod-defaults.ts'
import { validatePodSpec, validatePodUpdate } from './pod-validation.ts'
import { dropZeros } from './pod-zeros.ts'

export const podRules: TypeRules = {
  defaults: defaultPod,
  prepare(pod, old) {
    if (old) return
    pod.status = { phase: 'Pending', qosClass: qosClassOf(pod.spec) }
  },
  validate(pod, old) {
    const spec = isObject(pod.spec) ? pod.spec : {}
    if (old && isObject(old.spec)) return validatePodUpdate(spec, old.spec)
    return validatePodSpec(spec, 'spec')
  },
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
function qosClassOf(spec: unknown): string {
  const containers = [...objects(at(spec, 'containers')), ...objects(at(spec, 'initContainers'))]
  const amounts = (container: Json, kind: string) =>
    ['cpu', 'memory'].map((name) => at(container, 'resources', kind, name)).filter((value) => value !== undefined)
  const isAsked = (container: Json) => amounts(container, 'limits').length + amounts(container, 'requests').length > 0
  if (!containers.some(isAsked)) return 'BestEffort'
  const isSure = (container: Json) =>
    amounts(container, 'limits').length === 2 && equal(amounts(container, 'limits'), amounts(container, 'requests'))
  return containers.every(isSure) ? 'Guaranteed' : 'Burstable'
}

export const deploymentRules: TypeRules = {
  defaults(deployment) {
    const spec = ensureObject(deployment, 'spec')
    if (spec.minReadySeconds === 0) delete spec.minReadySeconds
    if (spec.paused === false) delete spec.paused
    spec.replicas ??= 1
    spec.revisionHistoryLimit ??= 10
    spec.progressDeadlineSeconds ??= 600
    const strategy = ensureObject(spec, 'strategy')
    strategy.type ??= 'RollingUpdate'
    if (strategy.type === 'RollingUpdate') {
      const rolling = ensureObject(strategy, 'rollingUpdate')
      rolling.maxSurge ??= '25%'
      rolling.maxUnavailable ??= '25%'
    }
    defaultTemplate(spec)
    if (deployment.status === undefined) deployment.status = {}
    dropZeroCounts(deployment.status, [])
  },
  validate(deployment, old) {
    const spec = isObject(deployment.spec) ? deployment.spec : {}
    const causes = validateWorkload(spec, old && isObject(old.spec) ? old.spec : undefined)
    const strategy = spec.strategy
    if (at(strategy, 'type') === 'Recreate' && at(strategy, 'rollingUpdate') !== undefined) {
      causes.push({
        reason: 'FieldValueForbidden',
        message: "Forbidden: may not be specified when strategy `type` is 'Recreate'",
        field: 'spec.strategy.rollingUpdate',
      })
    }
    const kinds = ['Recreate', 'RollingUpdate']
    if (!kinds.includes(String(at(strategy, 'type')))) {
      const shownStrategy = { Type: at(strategy, 'type'), RollingUpdate: at(strategy, 'rollingUpdate') ?? null }
      causes.push(fieldNotSupported('spec.strategy', shownStrategy, kinds))
    }
    for (const field of ['maxUnavailable', 'maxSurge']) {
      const value = at(strategy, 'rollingUpdate', field)
      if (typeof value === 'string' && !/^[0-9]+%$/.test(value)) {
        causes.push(fieldInvalid(`spec.strategy.rollingUpdate.${field}`, value, percentRule))
      }
    }
    if (isZero(at(strategy, 'rollingUpdate', 'maxSurge')) && isZero(at(strategy, 'rollingUpdate', 'maxUnavailable'))) {
      const field = 'spec.strategy.rollingUpdate.maxUnavailable'
      causes.push(fieldInvalid(field, 0, 'may not be 0 when `maxSurge` is 0'))
    }
    const deadline = spec.progressDeadlineSeconds
    const minReady = typeof spec.minReadySeconds === 'number' ? spec.minReadySeconds : 0
    if (typeof deadline === 'number' && deadline <= minReady) {
      causes.push(fieldInvalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'))
    }
    return causes
  },
}

export const replicaSetRules: TypeRules = {
  defaults(replicaSet) {
    const spec = ensureObject(replicaSet, 'spec')
    spec.replicas ??= 1
    defaultTemplate(spec)
    if (replicaSet.status === undefined) replicaSet.status = { replicas: 0 }
    dropZeroCounts(replicaSet.status, ['replicas'])
  },
  prepare(replicaSet, old) {
    if (!old) replicaSet.status = { replicas: 0 }
  },
  validate(replicaSet, old) {
    const spec = isObject(replicaSet.spec) ? replicaSet.spec : {}
    return validateWorkload(spec, old && isObject(old.spec) ? old.spec : undefined)
  },
}

const percentRule =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

/** Numbers of a status that are 0 are left out (Go's omitempty), but for those always written. */
function dropZeroCounts(status: unknown, always: string[]): void {
  if (!isObject(status)) return
  for (const [name, value] of Object.entries(status)) if (value === 0 && !always.includes(name)) delete status[name]
}

function defaultTemplate(spec: Json): void {
  const template = ensureObject(spec, 'template')
  dropZeros(ensureObject(template, 'metadata'))
  defaultPodSpec(ensureObject(template, 'spec'))
}

function validateWorkload(spec: Json, old: Json | undefined): Cause[] {
  const causes: Cause[] = []
  const labels = at(spec, 'template', 'metadata', 'labels')
  if (isObject(spec.selector)) {
    const isVoid = Object.keys(spec.selector).length === 0
    if (isVoid) causes.push(fieldInvalid('spec.selector', spec.selector, 'empty selector is invalid for deployment'))
    else if (!matchesSelector(spec.selector, isObject(labels) ? labels : {})) {
      const shown = isObject(labels) ? labels : null
      const why = '`selector` does not match template `labels`'
      causes.push(fieldInvalid('spec.template.metadata.labels', shown, why))
    }
  }
  if (old && !equal(spec.selector, old.selector)) {
    causes.push(fieldInvalid('spec.selector', spec.selector, 'field is immutable'))
  }
  for (const field of ['replicas', 'minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds']) {
    const value = spec[field]
    if (typeof value === 'number' && value < 0) {
      causes.push(fieldInvalid(`spec.${field}`, value, 'must be greater than or equal to 0'))
    }
  }
  const pod = at(spec, 'template', 'spec')
  if (isObject(pod)) causes.push(...validatePodSpec(pod, 'spec.template.spec', ['Always']))
  else causes.push(fieldRequired('spec.template.spec'))
  return causes
}

function isZero(value: unknown): boolean {
  return value === 0 || value === '0' || value === '0%'
}
