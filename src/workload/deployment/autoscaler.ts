import { fieldAt, textAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentObservation } from '../../plan/observation.ts'
import { names } from './names.ts'

/** The HorizontalPodAutoscaler that scales a Deployment; the first by name, should there be several. */
export function autoscalerOf(reader: ObjectReader, deployment: KubeObject): KubeObject | undefined {
  const { name, namespace = '' } = deployment.metadata
  return reader
    .list(resources.horizontalPodAutoscalers, namespace)
    .filter((scaler) => scaler.metadata.deletionTimestamp === undefined && scales(scaler, name))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))[0]
}

/** What a Rollout has to know about the autoscaler. Kubernetes takes an absent minimum for 1. */
export function observeAutoscaler(scaler: KubeObject): NonNullable<DeploymentObservation['autoscaler']> {
  const min = fieldAt(scaler, 'spec', 'minReplicas')
  return {
    name: scaler.metadata.name,
    min: typeof min === 'number' ? min : 1,
    floored: scaler.metadata.annotations?.[names.floorOf] !== undefined,
  }
}

function scales(scaler: KubeObject, deployment: string): boolean {
  const target = fieldAt(scaler, 'spec', 'scaleTargetRef')
  const group = textAt(target, 'apiVersion')?.split('/')[0]
  return (
    textAt(target, 'kind') === 'Deployment' && textAt(target, 'name') === deployment && (group ?? 'apps') === 'apps'
  )
}
