import type { KubeObject } from '../../../kube/object.ts'
import type { Schema } from '../schema.ts'
import { ageColumn, type Definition, definition } from './definition.ts'
import { described, flag, integer, list, map, object, open, text, textMap } from './schema-parts.ts'

const stringMatch = object({ exact: text, prefix: text, regex: text })
stringMatch.oneOf = [
  { not: { anyOf: [{ required: ['exact'] }, { required: ['prefix'] }, { required: ['regex'] }] } },
  { required: ['exact'] },
  { required: ['prefix'] },
  { required: ['regex'] },
]

const destination = object(
  {
    host: described(text, 'The service in the registry that receives the traffic.'),
    subset: described(text, 'A subset of it, as a DestinationRule names it.'),
    port: object({ number: { type: 'integer', minimum: 0, maximum: 4294967295 } }),
  },
  ['host'],
)

const headerOperation = object({ set: textMap, add: textMap, remove: list(text) })
const headers = object({ request: headerOperation, response: headerOperation })
const weight = described(integer, 'The share of traffic, in proportion to the sum of weights.')
const percent = object({ value: { type: 'number' } })

const httpMatch = object({
  name: text,
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  headers: map(stringMatch),
  withoutHeaders: map(stringMatch),
  queryParams: map(stringMatch),
  port: { type: 'integer', minimum: 0, maximum: 4294967295 },
  sourceLabels: textMap,
  sourceNamespace: text,
  gateways: list(text),
  ignoreUriCase: flag,
  statPrefix: text,
})

const httpRoute = object({
  name: described(text, 'Names the route for debugging, and for tools that edit one of several.'),
  match: list(httpMatch),
  route: list(object({ destination, weight, headers }, ['destination'])),
  redirect: open,
  directResponse: open,
  delegate: object({ name: text, namespace: text }),
  rewrite: object({ uri: text, authority: text, uriRegexRewrite: object({ match: text, rewrite: text }) }),
  timeout: text,
  retries: object({
    attempts: integer,
    perTryTimeout: text,
    retryOn: text,
    retryRemoteLocalities: { ...flag, nullable: true },
    retryIgnorePreviousHosts: { ...flag, nullable: true },
    backoff: text,
  }),
  fault: object({
    delay: object({ fixedDelay: text, exponentialDelay: text, percent: integer, percentage: percent }),
    abort: object({ httpStatus: integer, grpcStatus: text, http2Error: text, percentage: percent }),
  }),
  mirror: destination,
  mirrors: list(object({ destination, percentage: percent }, ['destination'])),
  mirrorPercent: { type: 'integer', minimum: 0, maximum: 4294967295, nullable: true },
  mirror_percent: { type: 'integer', minimum: 0, maximum: 4294967295, nullable: true },
  mirrorPercentage: percent,
  corsPolicy: open,
  headers,
})

const l4Match: Record<string, Schema> = {
  destinationSubnets: list(text),
  port: { type: 'integer', minimum: 0, maximum: 4294967295 },
  sourceLabels: textMap,
  gateways: list(text),
  sourceNamespace: text,
}
const l4Route = list(object({ destination, weight }, ['destination']))

const virtualServiceSpec = object({
  hosts: described(list(text), 'The hosts to which traffic is sent.'),
  gateways: described(list(text), 'The gateways and sidecars that apply these routes; `mesh` is all sidecars.'),
  http: described(list(httpRoute), 'An ordered list of routes for HTTP traffic: the first match wins.'),
  tls: list(
    object({ match: list(object({ ...l4Match, sniHosts: list(text) }, ['sniHosts'])), route: l4Route }, ['match']),
  ),
  tcp: list(object({ match: list(object({ ...l4Match, sourceSubnet: text })), route: l4Route })),
  exportTo: list(text),
})

const destinationRuleSpec = object(
  {
    host: described(text, 'The service in the registry these policies are for.'),
    trafficPolicy: open,
    subsets: described(
      list(object({ name: text, labels: textMap, trafficPolicy: open }, ['name'])),
      'Named sets of endpoints, by their labels.',
    ),
    exportTo: list(text),
    workloadSelector: object({ matchLabels: textMap }),
  },
  ['host'],
)

const serviceEntrySpec = object(
  {
    hosts: list(text, { minItems: 1, maxItems: 256 }),
    addresses: list(text),
    ports: list(
      object(
        {
          number: { type: 'integer', maximum: 4294967295, minimum: 0 },
          protocol: text,
          name: text,
          targetPort: integer,
        },
        ['number', 'name'],
      ),
      { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
    ),
    location: { type: 'string', enum: ['MESH_EXTERNAL', 'MESH_INTERNAL'] },
    resolution: { type: 'string', enum: ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'] },
    endpoints: list(
      object({
        address: text,
        ports: map({ type: 'integer' }),
        labels: textMap,
        network: text,
        locality: text,
        weight: integer,
        serviceAccount: text,
      }),
    ),
    workloadSelector: object({ labels: textMap }),
    exportTo: list(text),
    subjectAltNames: list(text),
  },
  ['hosts'],
)

function root(spec: Schema, required = false): Schema {
  return object({ spec, status: open }, required ? ['spec'] : undefined)
}

const istio = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  categories: ['istio-io', 'networking-istio-io'],
  status: true,
}

const hosts = { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'The destination hosts.' }

const definitions: Definition[] = [
  {
    ...istio,
    kind: 'VirtualService',
    plural: 'virtualservices',
    shortNames: ['vs'],
    columns: [
      {
        name: 'Gateways',
        type: 'string',
        jsonPath: '.spec.gateways',
        description: 'The gateways that apply the routes.',
      },
      hosts,
      ageColumn,
    ],
    schema: root(virtualServiceSpec),
  },
  {
    ...istio,
    kind: 'DestinationRule',
    plural: 'destinationrules',
    shortNames: ['dr'],
    columns: [
      { name: 'Host', type: 'string', jsonPath: '.spec.host', description: 'The service it is for.' },
      ageColumn,
    ],
    schema: root(destinationRuleSpec),
  },
  {
    ...istio,
    kind: 'Gateway',
    plural: 'gateways',
    shortNames: ['gw'],
    schema: root(object({ selector: textMap, servers: list(open) })),
  },
  {
    ...istio,
    kind: 'ServiceEntry',
    plural: 'serviceentries',
    shortNames: ['se'],
    columns: [
      hosts,
      { name: 'Location', type: 'string', jsonPath: '.spec.location' },
      { name: 'Resolution', type: 'string', jsonPath: '.spec.resolution' },
      ageColumn,
    ],
    schema: root(serviceEntrySpec, true),
  },
]

/** The CRDs of Istio's networking API, reduced to what routing needs; as upstream, their lists are atomic. */
export function istioCrds(): KubeObject[] {
  return definitions.map(definition)
}
