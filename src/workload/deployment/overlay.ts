import { fieldAt, labelsAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { labelValue, names } from './names.ts'

/** What is different about the canary's pods: parts of the spec of the canary Deployment. */
export interface CanaryPods {
  /** `spec.template`: that of the user's Deployment with other labels, and nothing else changed. */
  template: Record<string, unknown>
  /** `spec.selector`: no pod of the user's Deployment is selected, whatever labels it carries. */
  selector: { matchLabels: Record<string, string> }
  /** The labels of the template. */
  labels: Record<string, string>
}

/**
 * What the user's Deployment becomes as a canary: its template, as it is now, with the labels of the canary's destination (those of the
 * subset, or the selector of the canary's Service) laid over, and one more by which the canary Deployment knows its own pods. `config`
 * becomes the annotation by which other configuration makes other pods.
 */
export function canaryPods(
  deployment: KubeObject,
  destination: Readonly<Record<string, string>>,
  config?: string,
): CanaryPods {
  const template = record(fieldAt(deployment, 'spec', 'template'))
  const own = { [names.canary]: labelValue(deployment.metadata.name) }
  const { 'pod-template-hash': _, ...declared } = labelsAt(template, 'metadata', 'labels') ?? {}
  const metadata = record(template.metadata)
  const annotations = { ...record(metadata.annotations), [names.config]: config }
  const labels = { ...declared, ...destination, ...own }
  return {
    template: { ...template, metadata: { ...metadata, labels, ...(config === undefined ? {} : { annotations }) } },
    selector: { matchLabels: { ...destination, ...own } },
    labels,
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
