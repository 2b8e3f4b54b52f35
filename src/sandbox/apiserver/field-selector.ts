import type { KubeObject } from '../../kube/object.ts'
import { at } from './json.ts'
import { jsonPath } from './json-path.ts'
import { type ResourceType, refKey, versionOf } from './resource-type.ts'
import { badRequest } from './status.ts'

/** How the value of a field is read; undefined means by its path. */
type Reader = ((object: KubeObject) => unknown) | undefined
type Fields = Readonly<Record<string, Reader>>

const names: Fields = { 'metadata.name': undefined, 'metadata.namespace': undefined }

/** A reference in an event: `involvedObject.kind` and so on. */
function reference(field: string): Fields {
  const parts = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']
  return Object.fromEntries(parts.map((part) => [`${field}.${part}`, undefined]))
}

/** Built-in kinds that have a list of their own; all others know only their name and namespace. */
const selectable: Readonly<Record<string, Fields>> = {
  '/pods': {
    ...names,
    'spec.nodeName': undefined,
    'spec.restartPolicy': undefined,
    'spec.schedulerName': undefined,
    'spec.serviceAccountName': undefined,
    'spec.hostNetwork': (pod) => at(pod, 'spec', 'hostNetwork') ?? false,
    'status.phase': undefined,
    'status.podIP': undefined,
    // Taken by the real server, and empty for every pod.
    'status.podIPs': () => '',
    'status.nominatedNodeName': undefined,
  },
  '/events': {
    ...names,
    ...reference('involvedObject'),
    reason: undefined,
    reportingComponent: undefined,
    source: (event) => at(event, 'source', 'component') || event.reportingComponent,
    type: undefined,
  },
  'events.k8s.io/events': {
    ...names,
    ...reference('regarding'),
    reason: undefined,
    reportingController: undefined,
    type: undefined,
  },
  '/secrets': { ...names, type: undefined },
  '/namespaces': { 'metadata.name': undefined, 'status.phase': undefined },
  '/services': { ...names, 'spec.clusterIP': undefined, 'spec.type': undefined },
  '/nodes': {
    'metadata.name': undefined,
    'spec.unschedulable': (node) => at(node, 'spec', 'unschedulable') ?? false,
  },
}

/** Parses the fieldSelector parameter for a version of a resource; a field it cannot be selected by is refused as the real server does. */
export function parseFieldSelector(text: string, type: ResourceType, version: string): (object: KubeObject) => boolean {
  const tests = terms(text).map((term) => {
    const found = /^((?:[^=!\\]|!(?!=)|\\.)*)(==|!=|=)(.*)$/s.exec(term)
    if (!found) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`)
    const [, field = '', operator, escaped = ''] = found
    const value = unescaped(escaped)
    const read = readerOf(field, type, version)
    return (object: KubeObject) => (String(read(object) ?? '') === value) !== (operator === '!=')
  })
  return (object) => tests.every((test) => test(object))
}

/** The parts between commas that no backslash protects, without empty ones. */
function terms(text: string): string[] {
  return (text.match(/(?:\\.|[^,\\])+/gs) ?? []).filter((term) => term !== '')
}

function unescaped(value: string): string {
  const bare = /(?:^|[^\\])(?:\\\\)*=/s.exec(value)
  if (bare) throw badRequest('invalid field selector: unescaped character in value: 61')
  const invalid = /\\([^\\,=]|$)/s.exec(value.replaceAll('\\\\', ''))
  if (invalid) throw badRequest(`invalid field selector: invalid escape sequence: ${invalid[0]}`)
  return value.replaceAll(/\\(.)/gs, '$1')
}

function readerOf(field: string, type: ResourceType, version: string): (object: KubeObject) => unknown {
  const byPath = (object: KubeObject) => at(object, ...field.split('.'))
  const known = knownFields(type, version)
  if (Object.hasOwn(known, field)) return known[field] ?? byPath
  throw badRequest(
    type.builtin && !selectable[refKey(type)]
      ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
      : `field label not supported: ${field}`,
  )
}

function knownFields(type: ResourceType, version: string): Fields {
  if (type.builtin) return selectable[refKey(type)] ?? names
  const declared = versionOf(type, version)?.selectableFields ?? []
  const own = declared.map((path) => [path.replace(/^\./, ''), (object: KubeObject) => jsonPath(object, path)[0]])
  return { ...(type.namespaced ? names : { 'metadata.name': undefined }), ...Object.fromEntries(own) }
}
