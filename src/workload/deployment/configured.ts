import type { RevisionRecord } from '../../api/status.ts'
import type { Problem } from '../../errors.ts'
import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ConfigurationObservation } from '../../plan/observation.ts'
import { type TemplateContent, templateOf, withConfig } from '../../plan/revision.ts'
import type { WorkloadQuery } from '../workload.ts'
import { type ConfigObjects, configNow } from './config.ts'
import { configName, configReferences } from './config-references.ts'
import type { Member } from './family.ts'

/** The contents of a Deployment where ConfigMaps and Secrets are a part of them. */
export interface TrackedContents {
  /** Of the Deployment or one of its ReplicaSets, as its template stands. */
  native(object: KubeObject): TemplateContent
  /** Of the pods that the template would have now. */
  desired: TemplateContent
  /** Something may not be read. */
  problem: Problem | undefined
  observed(seen: {
    rolled: boolean
    members: readonly Member[]
    stable: RevisionRecord | undefined
  }): ConfigurationObservation
}

/**
 * What a Deployment's templates are together with their configuration; undefined where that is not tracked. A rollout in flight ends as it
 * began, whatever is declared meanwhile. A template without the annotation (no pod is restarted at adoption, and an engine may replace
 * the whole template) has the configuration that is recorded with what was stable before it, else what there is now.
 */
export function trackedContents(
  query: WorkloadQuery,
  deployment: KubeObject,
  { configs, contentOf }: { configs: ConfigObjects; contentOf: (object: KubeObject) => TemplateContent },
): TrackedContents | undefined {
  const { recordedStable: stable, recordedCanary: canary, recordedPrevious: previous } = query
  const isTracked = canary ? canary.config !== undefined : query.workload.deployment?.trackConfig === true
  if (!isTracked) return undefined
  const references = configReferences(fieldAt(deployment, 'spec', 'template'))
  const now = configNow(configs, query.namespace, references)
  const config = now.state === 'Known' ? now.config : undefined
  const unannotated = (previous ?? stable)?.config ?? config
  const known = [config, previous?.config, stable?.config, canary?.config]

  function native(object: KubeObject): TemplateContent {
    const content = contentOf(object)
    const { carried } = content
    if (carried === undefined) return withConfig(content, unannotated)
    return withConfig(content, known.find((each) => each?.hash === carried) ?? { hash: carried, objects: {} })
  }

  const template = contentOf(deployment)
  // What cannot be told is taken for what is recorded: guard and retreat go on, and nothing new begins.
  const recorded = [canary, stable].find(
    (record) => record?.config && record.format === template.format && templateOf(record) === template.hash,
  )
  const desired = withConfig(template, config ?? recorded?.config)
  return {
    native,
    desired,
    problem: now.state === 'Refused' ? { reason: 'Forbidden', message: now.message } : undefined,
    observed({ rolled, members, stable }) {
      const { hash, template: bare } = native(deployment)
      const { carried } = template
      const serving = members.find(({ replicaSet }) => replicaSet.metadata.uid === stable?.workloads[0]?.uid)
      const served = serving && contentOf(serving.replicaSet).carried
      const keeps = served ?? (carried === undefined ? undefined : stable?.config?.hash)
      return {
        objects: references.map(configName),
        ...(now.state === 'Waits' ? { waits: now.waits, unread: now.unread } : {}),
        ...(now.state === 'Refused' ? { waits: now.message, unread: true } : {}),
        rolls: { hash, template: bare },
        rolled,
        ...(carried === undefined ? {} : { carried }),
        ...(keeps === undefined ? {} : { keeps }),
      }
    },
  }
}
