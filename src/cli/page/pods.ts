import { since } from '../age.ts'
import { paragraph, type SectionOf } from './section.ts'

/** Deployment mode: what becomes of the Deployment and of the canary pods. */
export const pods: SectionOf = ({ rollout: { status, spec }, now, colours, width }) => {
  const state = status.deployment
  const name = spec?.workload.deployment?.name
  if (!state || name === undefined) return undefined
  const { latch, capacity, promotion, restoring, leaving } = state
  const said: [string | undefined, boolean][] = [
    [restoring && `Deployment ${name} rolls back to ${restoring.revision}: its old pods have to come back`, true],
    [promotion && rolling(name, promotion.resumedAt, promotion.previous.revision, now), false],
    [
      capacity &&
        `${capacity.replicas} canary ${capacity.replicas === 1 ? 'pod is' : 'pods are'} wanted${capacity.met ? ' and ready' : `, asked for ${since(capacity.since, now)} ago`}`,
      false,
    ],
    [leaving && `the canary pods go, their traffic having ended ${since(leaving, now)} ago`, false],
    [
      latch && !latch.proven
        ? (latch.message ?? `nothing keeps a new template of Deployment ${name} from rolling`)
        : undefined,
      true,
    ],
  ]
  const lines = said.flatMap(([text, bad]) =>
    text === undefined ? [] : paragraph(text, width, bad ? { paint: colours.wait } : {}),
  )
  return lines.length === 0 ? undefined : { label: 'Pods', lines }
}

function rolling(name: string, resumedAt: string | undefined, previous: string, now: number): string {
  return resumedAt === undefined
    ? `Deployment ${name} takes the tried revision over next`
    : `Deployment ${name} has been rolling for ${since(resumedAt, now)}: the pods of ${previous} are going, and a way back would be slow`
}
