type Json = Record<string, unknown>

/** Annotations by which tools ask for new pods of the same content. */
const restartAnnotations: readonly string[] = ['kubectl.kubernetes.io/restartedAt']

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
  hostNetwork: false,
  hostPID: false,
  hostIPC: false,
}
const containerDefaults: Json = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' }
const probeDefaults: Json = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
const httpDefaults: Json = { scheme: 'HTTP', path: '/' }
const fileModeDefaults: Json = { defaultMode: 0o644 }

/**
 * A pod template reduced to what decides how its pods behave: without restart annotations, generated labels, nulls, empty lists,
 * and fields that say what the API server would default them to. Empty objects stay (an empty selector is not an absent one), except
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
        annotations: nonEmpty(omit(record(annotations), restartAnnotations)),
        labels: nonEmpty(omit(record(labels), generatedLabels)),
      }),
    ),
    spec: spec === undefined ? undefined : pod(record(spec)),
  })
}

function pod(spec: Json): Json {
  const { serviceAccount, ...rest } = withoutDefaults(spec, podDefaults)
  return compact({
    ...rest,
    // The old name of the same field; the server keeps both equal.
    serviceAccountName: rest.serviceAccountName ?? serviceAccount,
    securityContext: nonEmpty(rest.securityContext),
    containers: each(rest.containers, container),
    initContainers: each(rest.initContainers, container),
    volumes: each(rest.volumes, volume),
  })
}

function container(c: Json): Json {
  const rest = withoutDefaults(c, containerDefaults)
  return compact({
    ...rest,
    imagePullPolicy: rest.imagePullPolicy === defaultPullPolicy(rest.image) ? undefined : rest.imagePullPolicy,
    resources: nonEmpty(rest.resources),
    securityContext: nonEmpty(rest.securityContext),
    ports: each(rest.ports, (port) => withoutDefaults(port, { protocol: 'TCP' })),
    env: each(rest.env, envVar),
    livenessProbe: probe(rest.livenessProbe),
    readinessProbe: probe(rest.readinessProbe),
    startupProbe: probe(rest.startupProbe),
  })
}

function probe(value: unknown): unknown {
  if (value === undefined) return undefined
  const rest = withoutDefaults(record(value), probeDefaults)
  if (rest.httpGet === undefined) return rest
  return { ...rest, httpGet: withoutDefaults(record(rest.httpGet), httpDefaults) }
}

function envVar(variable: Json): Json {
  const { value, valueFrom, ...rest } = variable
  const source = record(valueFrom)
  const fieldRef = source.fieldRef && withoutDefaults(record(source.fieldRef), { apiVersion: 'v1' })
  return compact({
    ...rest,
    value: value === '' ? undefined : value,
    valueFrom: valueFrom === undefined ? undefined : compact({ ...source, fieldRef }),
  })
}

function volume(v: Json): Json {
  const out: Json = { ...v }
  for (const source of ['configMap', 'secret', 'projected', 'downwardAPI']) {
    if (out[source] !== undefined) out[source] = withoutDefaults(record(out[source]), fileModeDefaults)
  }
  return out
}

/** The server's rule: images that may move under their name are pulled every time. */
function defaultPullPolicy(image: unknown): string {
  if (typeof image !== 'string' || image.includes('@')) return 'IfNotPresent'
  const tag = /:([^:/]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

/** Nulls and empty lists mean the same as no field at all everywhere in a pod template. */
function prune(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prune)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, v]) => v !== null && !(Array.isArray(v) && v.length === 0))
  return Object.fromEntries(kept.map(([key, v]) => [key, prune(v)]))
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

function nonEmpty(value: unknown): unknown {
  return Object.keys(record(value)).length === 0 ? undefined : value
}

function each(list: unknown, change: (item: Json) => Json): unknown {
  return Array.isArray(list) ? list.map((item) => change(record(item))) : list
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
