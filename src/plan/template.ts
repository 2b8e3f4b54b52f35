import { plainQuantity } from './quantity.ts'

type Json = Record<string, unknown>

/** Annotations by which tools ask for new pods of the same content. */
const restartAnnotations: readonly string[] = ['kubectl.kubernetes.io/restartedAt', 'cattle.io/timestamp']

/** Annotation by which Sluice itself gives pods another configuration: counted beside the template, never as a part of it. */
export const CONFIG_ANNOTATION = 'sluice.dev/config'

/** Labels that Kubernetes itself adds to the template of a ReplicaSet. */
const generatedLabels: readonly string[] = ['pod-template-hash']

/**
 * What the API server fills in when a field is absent, by the object that holds the field. A field that says the default says nothing,
 * so leaving it out makes a template the same before and after defaulting
 * (https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go).
 */
const podDefaults: Json = {
  dnsPolicy: 'ClusterFirst',
  restartPolicy: 'Always',
  schedulerName: 'default-scheduler',
  terminationGracePeriodSeconds: 30,
  enableServiceLinks: true,
}
const containerDefaults: Json = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' }
const probeDefaults: Json = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
const httpDefaults: Json = { scheme: 'HTTP', path: '/' }
const fieldDefaults: Json = { apiVersion: 'v1' }
const volumeDefaults: Readonly<Record<string, Json>> = {
  configMap: { defaultMode: 0o644 },
  secret: { defaultMode: 0o644 },
  projected: { defaultMode: 0o644 },
  downwardAPI: { defaultMode: 0o644 },
  iscsi: { iscsiInterface: 'default' },
  rbd: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
  azureDisk: { cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4' },
  scaleIO: { storageMode: 'ThinProvisioned', fsType: 'xfs' },
}

/**
 * Fields of which the API server does not tell an empty text from none, because Go leaves both out (`omitempty` and no pointer in
 * https://github.com/kubernetes/api/blob/master/core/v1/types.go), or writes both. Others, such as `storageClassName`, mean something
 * when empty. The same for `false` and 0 below.
 */
const emptyTexts: ReadonlySet<string> = new Set(
  `apiVersion audience containerName effect fsType host hostIP hostname image imagePullPolicy key keyring level medium name
  nodeName operator path pool prefix priorityClassName protocol pullPolicy reference request role schedulerName scheme secretName
  service serviceAccount serviceAccountName subPath subPathExpr subdomain terminationMessagePath terminationMessagePolicy type user
  value volumeName workingDir dnsPolicy restartPolicy`.split(/\s+/),
)
const plainFlags: ReadonlySet<string> = new Set('hostNetwork hostPID hostIPC stdin stdinOnce tty readOnly'.split(' '))
const plainNumbers: ReadonlySet<string> = new Set(
  'hostPort initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold partition seconds'.split(
    ' ',
  ),
)

/** Maps with keys of the user's own; an empty one is none. */
const textMaps: ReadonlySet<string> = new Set(
  'annotations labels matchLabels nodeSelector options volumeAttributes userAnnotations'.split(' '),
)
const quantityMaps: ReadonlySet<string> = new Set(['limits', 'requests', 'overhead'])
const quantities: ReadonlySet<string> = new Set(['sizeLimit', 'divisor'])

/**
 * A pod template reduced to what decides how its pods behave: without restart annotations, generated labels, nulls, empty lists and
 * whatever else the API server leaves out, without fields that say what it would default them to, and with quantities as plain numbers.
 * So a manifest and what the API server makes of it are the same. Empty objects stay (an empty selector is not an absent one), except
 * where they are known to mean nothing. The argument is left as it is; the answer is plain JSON.
 */
export function essentialTemplate(template: unknown): unknown {
  const { metadata, spec, ...rest } = record(prune(template))
  const { creationTimestamp: _, annotations, labels, ...meta } = record(metadata)
  return compact({
    ...rest,
    metadata: nonEmpty(
      compact({
        ...meta,
        annotations: nonEmpty(omit(record(annotations), [...restartAnnotations, CONFIG_ANNOTATION])),
        labels: nonEmpty(omit(record(labels), generatedLabels)),
      }),
    ),
    spec: spec === undefined ? undefined : pod(record(spec)),
  })
}

function pod(spec: Json): Json {
  const { serviceAccount, ...rest } = withoutDefaults(spec, podDefaults)
  const containers = (list: unknown) => each(list, (c) => container(c, rest.hostNetwork === true))
  return compact({
    ...rest,
    // The old name of the same field; the server keeps both equal.
    serviceAccountName: rest.serviceAccountName ?? serviceAccount,
    securityContext: nonEmpty(rest.securityContext),
    resources: nonEmpty(rest.resources),
    containers: containers(rest.containers),
    initContainers: containers(rest.initContainers),
    volumes: each(rest.volumes, volume),
  })
}

function container(c: Json, onHost: boolean): Json {
  const rest = withoutDefaults(c, containerDefaults)
  return compact({
    ...rest,
    imagePullPolicy: withoutPullPolicy(rest.imagePullPolicy, rest.image),
    resources: nonEmpty(rest.resources),
    securityContext: nonEmpty(rest.securityContext),
    // On the host's network a port can only be the host's own; servers before 1.28 wrote that down.
    ports: each(rest.ports, (port) =>
      withoutDefaults(port, { protocol: 'TCP', ...(onHost ? { hostPort: port.containerPort } : {}) }),
    ),
    env: each(rest.env, envVar),
    livenessProbe: probe(rest.livenessProbe),
    readinessProbe: probe(rest.readinessProbe),
    startupProbe: probe(rest.startupProbe),
    lifecycle: inside(rest.lifecycle, (hooks) => ({
      ...hooks,
      ...compact({ postStart: handler(hooks.postStart), preStop: handler(hooks.preStop) }),
    })),
  })
}

function probe(value: unknown): unknown {
  return inside(handler(value), (it) => withoutDefaults(it, probeDefaults))
}

/** What a probe or a hook does. */
function handler(value: unknown): unknown {
  return inside(value, (it) =>
    compact({ ...it, httpGet: inside(it.httpGet, (action) => withoutDefaults(action, httpDefaults)) }),
  )
}

function envVar(variable: Json): Json {
  return compact({ ...variable, valueFrom: inside(variable.valueFrom, withoutFieldVersion) })
}

/** Of something that may refer to a field of the pod. */
function withoutFieldVersion(source: Json): Json {
  return compact({ ...source, fieldRef: inside(source.fieldRef, (ref) => withoutDefaults(ref, fieldDefaults)) })
}

function volume(v: Json): Json {
  const { name, ...sources } = v
  // A volume that does not say of what is an empty directory.
  if (Object.keys(sources).length === 0) return { ...v, emptyDir: {} }
  const out: Json = { ...v }
  for (const [source, defaults] of Object.entries(volumeDefaults)) {
    if (out[source] !== undefined) out[source] = withoutDefaults(record(out[source]), defaults)
  }
  return compact({
    ...out,
    downwardAPI: inside(out.downwardAPI, withFiles),
    projected: inside(out.projected, (it) => compact({ ...it, sources: each(it.sources, projection) })),
    azureDisk: inside(out.azureDisk, (disk) => withoutDefaults(disk, { readOnly: false })),
    image: inside(out.image, (it) => compact({ ...it, pullPolicy: withoutPullPolicy(it.pullPolicy, it.reference) })),
    ephemeral: inside(out.ephemeral, (it) =>
      compact({ ...it, volumeClaimTemplate: inside(it.volumeClaimTemplate, claim) }),
    ),
  })
}

function projection(source: Json): Json {
  return compact({
    ...source,
    downwardAPI: inside(source.downwardAPI, withFiles),
    serviceAccountToken: inside(source.serviceAccountToken, (it) => withoutDefaults(it, { expirationSeconds: 3600 })),
    podCertificate: inside(source.podCertificate, (it) => withoutDefaults(it, { maxExpirationSeconds: 86_400 })),
  })
}

function withFiles(source: Json): Json {
  return compact({ ...source, items: each(source.items, withoutFieldVersion) })
}

function claim(template: Json): Json {
  const spec = withoutDefaults(record(template.spec), { volumeMode: 'Filesystem' })
  return compact({
    ...template,
    metadata: nonEmpty(template.metadata),
    spec: compact({ ...spec, resources: nonEmpty(spec.resources) }),
  })
}

/** The pull policy, unless it is what the server would choose: images that may move under their name are pulled every time. */
function withoutPullPolicy(policy: unknown, image: unknown): unknown {
  if (typeof image !== 'string') return policy
  const tag = image.includes('@') ? 'digest' : /:([^:/]+)$/.exec(image)?.[1]
  return policy === (tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent') ? undefined : policy
}

/** Without what means the same as no field at all, and with quantities as plain numbers. */
function prune(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prune)
  if (typeof value !== 'object' || value === null) return value
  const kept: [string, unknown][] = []
  for (const [key, field] of Object.entries(value)) {
    const pruned = pruneField(key, field)
    if (pruned !== undefined && pruned !== null) kept.push([key, pruned])
  }
  return Object.fromEntries(kept)
}

function pruneField(key: string, value: unknown): unknown {
  if (value === '') return emptyTexts.has(key) ? undefined : value
  if (value === false) return plainFlags.has(key) ? undefined : value
  if (value === 0 && plainNumbers.has(key)) return undefined
  if (quantities.has(key)) {
    const quantity = plainQuantity(value)
    return key === 'divisor' && quantity === '0' ? undefined : quantity
  }
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(prune)
  if (textMaps.has(key)) return nonEmpty(value)
  if (!quantityMaps.has(key)) return prune(value)
  // In limits and requests the server rounds up to thousandths.
  return nonEmpty(
    Object.fromEntries(Object.entries(record(value)).map(([name, amount]) => [name, plainQuantity(amount, 3)])),
  )
}

function withoutDefaults(object: Json, defaults: Json): Json {
  return Object.fromEntries(
    Object.entries(object).filter(([key, v]) => !Object.hasOwn(defaults, key) || defaults[key] !== v),
  )
}

function omit(object: Json, keys: readonly string[]): Json {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))
}

function compact(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined))
}

/** The object without its null members, unless nothing is left; what is no object stays. */
function nonEmpty(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? undefined
  const kept = Object.entries(value).filter(([, v]) => v !== null && v !== undefined)
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}

/** A changed copy of an object; anything else is left as it is. */
function inside(value: unknown, change: (object: Json) => Json): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? change(record(value)) : value
}

function each(list: unknown, change: (item: Json) => Json): unknown {
  return Array.isArray(list) ? list.map((item) => change(record(item))) : list
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
