import type { KubeObject } from '../../../kube/object.ts'
import type { Column, Schema } from '../schema.ts'

export interface Definition {
  group: string
  kind: string
  plural: string
  versions: string[]
  shortNames?: string[]
  categories?: string[]
  cluster?: boolean
  /** Without the subresource, status is an ordinary field. */
  status?: boolean
  columns?: Column[]
  schema: Schema
}

export const ageColumn: Column = {
  name: 'Age',
  type: 'date',
  description: 'When the object was created.',
  jsonPath: '.metadata.creationTimestamp',
}

const approval = 'api-approved.kubernetes.io'

/** A CustomResourceDefinition that serves one schema under several versions; the first is stored. */
export function definition(from: Definition): KubeObject {
  const { group, kind, plural, versions, shortNames = [], categories = [], columns = [ageColumn] } = from
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      // Kubernetes protects its own groups: who defines a kind there says whether that was approved.
      ...(group.endsWith('.k8s.io') ? { annotations: { [approval]: 'unapproved, a schema of the sandbox' } } : {}),
    },
    spec: {
      group,
      scope: from.cluster ? 'Cluster' : 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List`, shortNames, categories },
      versions: versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        schema: { openAPIV3Schema: from.schema },
        additionalPrinterColumns: columns,
        ...(from.status ? { subresources: { status: {} } } : {}),
      })),
    },
  }
}
