import { isObject, type Json } from '../json.ts'

/** Fields whose zero is a value: pointers in Go, or written always. All other zeros of a pod spec mean "not set" and go. */
const keptZeros = new Set([
  'activeDeadlineSeconds',
  'allowPrivilegeEscalation',
  'automountServiceAccountToken',
  'containerPort',
  'defaultMode',
  'enableServiceLinks',
  'expirationSeconds',
  'fsGroup',
  'hostUsers',
  'key',
  'maxSkew',
  'minDomains',
  'mode',
  'mountPath',
  'mountPropagation',
  'name',
  'optional',
  'path',
  'port',
  'priority',
  'privileged',
  'procMount',
  'readOnlyRootFilesystem',
  'runAsGroup',
  'runAsNonRoot',
  'runAsUser',
  'runtimeClassName',
  'seconds',
  'service',
  'setHostnameAsFQDN',
  'shareProcessNamespace',
  'storageClassName',
  'terminationGracePeriodSeconds',
  'tolerationSeconds',
  'topologyKey',
  'type',
  'volumeMode',
  'weight',
  'whenUnsatisfiable',
])

/** The same for fields whose name alone does not tell: by the field that holds them. */
const keptWithin: Readonly<Record<string, readonly string[]>> = {
  azureDisk: ['cachingMode', 'fsType', 'kind', 'readOnly'],
  csi: ['fsType', 'readOnly'],
  httpHeaders: ['value'],
  iscsi: ['lun'],
  options: ['value'],
  sysctls: ['value'],
}

/** And the other way round: names that are kept elsewhere. */
const leftOutWithin: Readonly<Record<string, readonly string[]>> = { ports: ['name'], tolerations: ['key'] }

/** Maps of strings, which go when they are empty; an empty struct stays, for it says something (`emptyDir: {}`). */
const maps = new Set([
  'annotations',
  'labels',
  'limits',
  'matchLabels',
  'nodeSelector',
  'options',
  'overhead',
  'requests',
  'volumeAttributes',
])

/** Removes, in place, what Go's `omitempty` leaves out of a pod spec or its metadata, without looking into maps. */
export function dropZeros(value: unknown, parent = ''): void {
  if (Array.isArray(value)) for (const item of value) dropZeros(item, parent)
  else if (isObject(value)) {
    for (const [name, field] of Object.entries(value)) {
      if (isZero(name, field, parent)) delete value[name]
      else if (!maps.has(name) || Array.isArray(field)) dropZeros(field, name)
      dropEmptyPath(value, name)
    }
  }
}

function isZero(name: string, value: unknown, parent: string): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isObject(value)) return maps.has(name) && Object.keys(value).length === 0
  const isKept = keptWithin[parent]?.includes(name) || (keptZeros.has(name) && !leftOutWithin[parent]?.includes(name))
  return (value === '' || value === 0 || value === false) && !isKept
}

/** Of the fields called `path`, only that of an HTTP action may be left out. */
function dropEmptyPath(value: Json, name: string): void {
  const action = value[name]
  if (name === 'httpGet' && isObject(action) && action.path === '') delete action.path
}
