import type { RevisionRecord } from '../../api/status.ts'
import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { RevisionObservation } from '../../plan/observation.ts'
import { deploymentRevision, type TemplateContent } from '../../plan/revision.ts'
import { replicasOf, whyNotReady } from '../readiness.ts'
import type { Member } from './family.ts'

/** A content that has pods in a Deployment: one ReplicaSet's, or that of several that differ in nothing (a restart). */
export interface Running {
  content: TemplateContent
  members: Member[]
  /** Of the ReplicaSet with most pods. */
  uid: string
  pods: number
  ready: number
  /** Pods that its ReplicaSets want. */
  wanted: number
}

/** The contents that have pods, the one with most first. */
export function runningContents(members: readonly Member[]): Running[] {
  const groups = Map.groupBy(
    members.filter((member) => member.pods.length > 0),
    (member) => member.content.hash,
  )
  return [...groups.values()].map(running).sort((a, b) => b.pods - a.pods || compare(a.content.hash, b.content.hash))
}

function running(group: readonly Member[]): Running {
  const members = [...group].sort(
    (a, b) => b.pods.length - a.pods.length || compare(a.replicaSet.metadata.name, b.replicaSet.metadata.name),
  )
  const sum = (count: (member: Member) => number) => members.reduce((total, member) => total + count(member), 0)
  const [largest] = members
  if (!largest) throw new Error('a content without a ReplicaSet')
  return {
    content: largest.content,
    members,
    uid: largest.replicaSet.metadata.uid ?? '',
    pods: sum((member) => member.pods.length),
    ready: sum((member) => member.ready),
    wanted: sum((member) => replicasOf(member.replicaSet)),
  }
}

/**
 * What the Deployment serves: the recorded stable content while that has pods, else the only content that has; undefined where there are
 * several and none is recorded. Without any pods it is still the recorded one, and before anything is recorded what the template says.
 * Wanted and ready pods are those of the whole Deployment.
 */
export function stableOf(
  deployment: KubeObject,
  template: TemplateContent,
  contents: readonly Running[],
  recorded: RevisionRecord | undefined,
): RevisionObservation | undefined {
  const { name, uid = '', generation = 0 } = deployment.metadata
  const pods = contents.flatMap((content) => content.members.flatMap((member) => member.pods))
  const notReady = whyNotReady([deployment], pods)
  const rolling = contents.length > 1 ? mixture(deployment, contents) : undefined
  const counts = {
    replicas: replicasOf(deployment),
    ready: contents.reduce((sum, content) => sum + content.ready, 0),
    ...(notReady === undefined ? {} : { notReady }),
    ...(rolling === undefined ? {} : { rolling }),
  }
  if (contents.length === 0) {
    // A hash of another format tells nothing; an unpaused template is what the Deployment will run.
    const known = recorded && (recorded.format === template.format || fieldAt(deployment, 'spec', 'paused') === true)
    return { ...(known ? recorded : deploymentRevision(name, template, { name, uid, generation })), ...counts }
  }
  const serving =
    contents.find((content) => isRecorded(content, recorded)) ?? (contents.length === 1 ? contents[0] : undefined)
  if (!serving) return undefined
  const kept = serving.members.find((member) => isBehind(member, recorded))
  const replicaSet = kept?.replicaSet.metadata.uid ?? serving.uid
  return { ...deploymentRevision(name, serving.content, { name, uid: replicaSet, generation: 0 }), ...counts }
}

function isRecorded({ content, members }: Running, recorded: RevisionRecord | undefined): boolean {
  if (!recorded) return false
  return (
    (content.hash === recorded.hash && content.format === recorded.format) ||
    members.some((member) => isBehind(member, recorded))
  )
}

/** Whether this very ReplicaSet was recorded: its template never changes, whatever later formats make of it. */
function isBehind(member: Member, recorded: RevisionRecord | undefined): boolean {
  return recorded?.workloads.some((workload) => workload.uid === member.replicaSet.metadata.uid) ?? false
}

function mixture(deployment: KubeObject, contents: readonly Running[]): string {
  const parts = contents.map(({ content, pods }) => `${pods} of ${content.image ?? content.hash}`)
  return `Deployment ${deployment.metadata.name} runs ${contents.length} versions (${parts.join(', ')} pods)`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
