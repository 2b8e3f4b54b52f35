import type { RawClient } from './apiserver.client.ts'

export const deployments = '/apis/apps/v1/namespaces/default/deployments'
export const configMaps = '/api/v1/namespaces/default/configmaps'
export const widgets = '/apis/conformance.example.com/v1/namespaces/default/widgets'

export function deployment(name: string, image = 'registry.example/web:1.0.0') {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: { app: name } },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'web', image }] } },
    },
  }
}

export function configMap(name: string, data: Record<string, string> = {}, metadata: Record<string, unknown> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}

export function widget(name: string, spec: Record<string, unknown> = {}) {
  return { apiVersion: 'conformance.example.com/v1', kind: 'Widget', metadata: { name }, spec: { size: 1, ...spec } }
}

/** A CRD with one of everything the suite looks at. */
export const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.conformance.example.com' },
  spec: {
    group: 'conformance.example.com',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', shortNames: ['wd'], categories: ['things'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 0, maximum: 10 },
                  color: { type: 'string', enum: ['red', 'green'], default: 'green' },
                  name: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
                  fixed: {
                    type: 'string',
                    maxLength: 20,
                    'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'fixed cannot change' }],
                  },
                  limit: { type: 'integer' },
                  port: { 'x-kubernetes-int-or-string': true },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  parts: {
                    type: 'array',
                    maxItems: 10,
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: { type: 'string', maxLength: 20 }, count: { type: 'integer', default: 1 } },
                    },
                  },
                  tags: { type: 'array', maxItems: 10, 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
                  steps: {
                    type: 'array',
                    items: { type: 'object', properties: { weight: { type: 'integer' } } },
                  },
                },
                'x-kubernetes-validations': [
                  {
                    rule: '!has(self.limit) || self.size <= self.limit',
                    // Without string(): the cost of a message must be bounded too, and a number's text has no known length.
                    messageExpression: "'a ' + self.color + ' widget is over its limit'",
                  },
                ],
              },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
}

/** Installs the widget CRD and waits until it is served. */
export async function installWidgets(client: RawClient): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const { status, body } = await client.request('POST', path, { body: widgetCrd })
  if (status !== 201 && body.reason !== 'AlreadyExists') throw new Error(`the widget CRD was refused: ${body.message}`)
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await client.request('GET', widgets)
    if (answer.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the widget CRD was not served within 10 s')
}
