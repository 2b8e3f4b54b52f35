import type { KubeObject } from '../../../kube/object.ts'
import type { Schema } from '../schema.ts'
import { ageColumn, definition } from './definition.ts'
import { described, integer, list, object, open, text } from './schema-parts.ts'

const port: Schema = { type: 'integer', format: 'int32', minimum: 1, maximum: 65535 }
const name: Schema = { type: 'string', minLength: 1, maxLength: 253 }
const namespace: Schema = { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }
const hostname: Schema = { type: 'string', minLength: 1, maxLength: 253 }
const atomic: Partial<Schema> = { 'x-kubernetes-list-type': 'atomic' }

const parentRef = object(
  {
    group: { type: 'string', default: 'gateway.networking.k8s.io', maxLength: 253 },
    kind: { type: 'string', default: 'Gateway', minLength: 1, maxLength: 63 },
    namespace,
    name,
    sectionName: name,
    port,
  },
  ['name'],
)

const byName: Partial<Schema> = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }
const headerMatch = object(
  { type: { type: 'string', default: 'Exact', enum: ['Exact', 'RegularExpression'] }, name, value: text },
  ['name', 'value'],
)

const match = object({
  path: {
    ...object({
      type: { type: 'string', default: 'PathPrefix', enum: ['Exact', 'PathPrefix', 'RegularExpression'] },
      value: { type: 'string', default: '/', maxLength: 1024 },
    }),
    default: { type: 'PathPrefix', value: '/' },
  },
  headers: list(headerMatch, { ...byName, maxItems: 16 }),
  queryParams: list(headerMatch, { ...byName, maxItems: 16 }),
  method: { type: 'string', enum: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] },
})

const filter = {
  type: 'object' as const,
  'x-kubernetes-preserve-unknown-fields': true,
  required: ['type'],
  properties: { type: text },
}

const backendRef: Schema = {
  ...object(
    {
      group: { type: 'string', default: '', maxLength: 253 },
      kind: { type: 'string', default: 'Service', minLength: 1, maxLength: 63 },
      name,
      namespace,
      port,
      weight: described(
        { ...integer, default: 1, minimum: 0, maximum: 1000000 },
        'The share of requests, in proportion to the sum of weights.',
      ),
      filters: list(filter, { ...atomic, maxItems: 16 }),
    },
    ['name'],
  ),
  'x-kubernetes-validations': [
    {
      rule: "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
      message: 'Must have port for Service reference',
    },
  ],
}

const rule = object({
  name,
  matches: list(match, { ...atomic, maxItems: 64, default: [{ path: { type: 'PathPrefix', value: '/' } }] }),
  filters: list(filter, { ...atomic, maxItems: 16 }),
  backendRefs: list(backendRef, { ...atomic, maxItems: 16 }),
  timeouts: object({ request: text, backendRequest: text }),
  retry: open,
  sessionPersistence: open,
})

const httpRouteSpec = object({
  parentRefs: list(parentRef, { ...atomic, maxItems: 32 }),
  hostnames: list(hostname, { ...atomic, maxItems: 16 }),
  rules: list(rule, {
    ...atomic,
    minItems: 1,
    maxItems: 16,
    default: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
  }),
})

const listener = object(
  { name, hostname, port, protocol: { type: 'string', minLength: 1, maxLength: 255 }, tls: open, allowedRoutes: open },
  ['name', 'port', 'protocol'],
)

const gatewaySpec = object(
  {
    gatewayClassName: name,
    listeners: list(listener, { ...byName, minItems: 1, maxItems: 64 }),
    addresses: list(open, { ...atomic, maxItems: 16 }),
    infrastructure: open,
  },
  ['gatewayClassName', 'listeners'],
)

const group = 'gateway.networking.k8s.io'
const categories = ['gateway-api']

/** The CRDs of the Gateway API that mesh routing needs; list types as in the standard channel. */
export function gatewayApiCrds(): KubeObject[] {
  return [
    definition({
      group,
      categories,
      kind: 'HTTPRoute',
      plural: 'httproutes',
      versions: ['v1', 'v1beta1'],
      status: true,
      columns: [{ name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' }, ageColumn],
      schema: object({ spec: httpRouteSpec, status: open }, ['spec']),
    }),
    definition({
      group,
      categories,
      kind: 'Gateway',
      plural: 'gateways',
      versions: ['v1', 'v1beta1'],
      shortNames: ['gtw'],
      status: true,
      columns: [
        { name: 'Class', type: 'string', jsonPath: '.spec.gatewayClassName' },
        { name: 'Address', type: 'string', jsonPath: '.status.addresses[*].value' },
        { name: 'Programmed', type: 'string', jsonPath: '.status.conditions[?(@.type=="Programmed")].status' },
        ageColumn,
      ],
      schema: object({ spec: gatewaySpec, status: open }, ['spec']),
    }),
    definition({
      group,
      categories,
      kind: 'GatewayClass',
      plural: 'gatewayclasses',
      versions: ['v1', 'v1beta1'],
      shortNames: ['gc'],
      cluster: true,
      status: true,
      columns: [
        { name: 'Controller', type: 'string', jsonPath: '.spec.controllerName' },
        { name: 'Accepted', type: 'string', jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
        ageColumn,
      ],
      schema: object(
        {
          spec: object({ controllerName: name, description: text, parametersRef: open }, ['controllerName']),
          status: open,
        },
        ['spec'],
      ),
    }),
  ]
}
