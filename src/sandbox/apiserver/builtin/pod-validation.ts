import { clone, equal, isObject, type Json, objects } from '../json.ts'
import { isLabel, labelRule } from '../names.ts'
import {
  type Cause,
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
} from '../status.ts'

/** The obvious mistakes of a pod spec, in the real server's words. */
export function validatePodSpec(spec: Json, path: string, allowedRestart = ['Always', 'OnFailure', 'Never']): Cause[] {
  const causes: Cause[] = []
  const containers = objects(spec.containers)
  if (Array.isArray(spec.containers) && containers.length === 0) causes.push(fieldRequired(`${path}.containers`))
  const names = new Set<string>()
  const volumes = new Set<unknown>()
  for (const [index, { name }] of objects(spec.volumes).entries()) {
    if (volumes.has(name)) causes.push(fieldDuplicate(`${path}.volumes[${index}].name`, name))
    volumes.add(name)
  }
  for (const list of ['initContainers', 'containers']) {
    for (const [index, container] of objects(spec[list]).entries()) {
      const at = `${path}.${list}[${index}]`
      causes.push(...validateContainer(container, at, volumes))
      const name = String(container.name ?? '')
      if (names.has(name)) causes.push(fieldDuplicate(`${at}.name`, name))
      names.add(name)
    }
  }
  if (!allowedRestart.includes(String(spec.restartPolicy))) {
    causes.push(fieldNotSupported(`${path}.restartPolicy`, spec.restartPolicy, allowedRestart))
  }
  const grace = spec.terminationGracePeriodSeconds
  if (typeof grace === 'number' && grace < 0) {
    causes.push(fieldInvalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'))
  }
  return causes
}

function validateContainer(container: Json, path: string, volumes: Set<unknown>): Cause[] {
  const causes: Cause[] = []
  const name = container.name
  if (typeof name !== 'string' || name === '') causes.push(fieldRequired(`${path}.name`))
  else if (!isLabel(name)) causes.push(fieldInvalid(`${path}.name`, name, labelRule))
  if (typeof container.image !== 'string' || container.image === '') causes.push(fieldRequired(`${path}.image`))
  for (const [index, port] of objects(container.ports).entries()) {
    const number = Number(port.containerPort)
    const at = `${path}.ports[${index}]`
    if (port.containerPort === undefined) causes.push(fieldRequired(`${at}.containerPort`))
    else if (number < 1 || number > 65535) {
      causes.push(fieldInvalid(`${at}.containerPort`, number, 'must be between 1 and 65535, inclusive'))
    }
    if (!['TCP', 'UDP', 'SCTP'].includes(String(port.protocol))) {
      causes.push(fieldNotSupported(`${at}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']))
    }
  }
  for (const [index, env] of objects(container.env).entries()) {
    if (!env.name) causes.push(fieldRequired(`${path}.env[${index}].name`))
  }
  for (const [index, mount] of objects(container.volumeMounts).entries()) {
    const at = `${path}.volumeMounts[${index}]`
    if (!volumes.has(mount.name)) {
      causes.push({
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(mount.name ?? '')}`,
        field: `${at}.name`,
      })
    }
    if (!mount.mountPath) causes.push(fieldRequired(`${at}.mountPath`))
  }
  return causes
}

/** A running pod may change its images and little else. */
export function validatePodUpdate(spec: Json, old: Json): Cause[] {
  const comparable = clone(spec)
  for (const list of ['containers', 'initContainers']) {
    const before = objects(old[list])
    for (const [index, container] of objects(comparable[list]).entries()) {
      if (before[index]) container.image = before[index].image
    }
  }
  for (const field of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds', 'schedulingGates']) {
    if (old[field] === undefined) delete comparable[field]
    else comparable[field] = old[field]
  }
  // Binding is a subresource on the real server; the sandbox's kubelet writes nodeName itself, once.
  if (old.nodeName === undefined) delete comparable.nodeName
  return isObject(comparable) && equal(comparable, old)
    ? []
    : [
        fieldForbidden(
          'spec',
          'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        ),
      ]
}
