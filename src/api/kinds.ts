import type { z } from 'zod'
import { analysisTemplateSpec } from './analysistemplate.ts'
import { approvalSpec, approvalStatus } from './approval.ts'
import { rolloutSpec } from './rollout.ts'
import { rolloutSourceSpec, rolloutSourceStatus } from './rolloutsource.ts'
import { rolloutStatus } from './status.ts'

export const group = 'sluice.dev'
export const version = 'v1alpha1'

interface Column {
  name: string
  type: 'string' | 'integer' | 'date'
  jsonPath: string
  description: string
  priority?: number
}

/** One kind of the API: its schemas and what kubectl shows of it. */
export interface Kind {
  kind: string
  plural: string
  singular: string
  shortNames: string[]
  spec: z.ZodType
  status?: z.ZodType
  columns: Column[]
}

const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Age of the object.',
}
const ready: Column = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'The Ready condition.',
}

/** Every kind that Sluice brings; the CRDs, the reference and the validation come from here. */
export const kinds = {
  Rollout: {
    kind: 'Rollout',
    plural: 'rollouts',
    singular: 'rollout',
    shortNames: ['ro'],
    spec: rolloutSpec,
    status: rolloutStatus,
    columns: [
      { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where the rollout is.' },
      { name: 'Step', type: 'string', jsonPath: '.status.stepSummary', description: 'Step and number of steps.' },
      {
        name: 'Weight',
        type: 'integer',
        jsonPath: '.status.step.weight',
        description: 'Percent of the traffic on the canary.',
      },
      {
        name: 'Stable',
        type: 'string',
        jsonPath: '.status.stable.revision',
        description: 'The revision that passed last.',
      },
      { name: 'Canary', type: 'string', jsonPath: '.status.canary.revision', description: 'The revision being tried.' },
      {
        name: 'Outcome',
        type: 'string',
        jsonPath: '.status.lastOutcome.result',
        description: 'What came of the last rollout.',
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: '.status.message',
        description: 'What it waits for, or why it acted.',
      },
      age,
    ],
  },
  RolloutSource: {
    kind: 'RolloutSource',
    plural: 'rolloutsources',
    singular: 'rolloutsource',
    shortNames: ['ros'],
    spec: rolloutSourceSpec,
    status: rolloutSourceStatus,
    columns: [
      { name: 'URL', type: 'string', jsonPath: '.spec.url', description: 'The repository.' },
      { name: 'Branch', type: 'string', jsonPath: '.spec.branch', description: 'The branch.' },
      ready,
      {
        name: 'Commit',
        type: 'string',
        jsonPath: '.status.lastSync.commit',
        description: 'The commit that was applied last.',
      },
      { name: 'Message', type: 'string', jsonPath: '.status.message', description: 'One sentence for people.' },
      age,
    ],
  },
  Approval: {
    kind: 'Approval',
    plural: 'approvals',
    singular: 'approval',
    shortNames: [],
    spec: approvalSpec,
    status: approvalStatus,
    columns: [
      { name: 'Rollout', type: 'string', jsonPath: '.spec.rollout', description: 'The Rollout that asks.' },
      {
        name: 'Revision',
        type: 'string',
        jsonPath: '.spec.revision',
        description: 'The revision that would get more traffic.',
      },
      { name: 'From', type: 'integer', jsonPath: '.spec.from', description: 'Percent now.' },
      { name: 'To', type: 'integer', jsonPath: '.spec.to', description: 'Percent then.' },
      { name: 'State', type: 'string', jsonPath: '.status.state', description: 'What came of it.' },
      { name: 'By', type: 'string', jsonPath: '.status.by', description: 'Who decided.' },
      age,
    ],
  },
  AnalysisTemplate: {
    kind: 'AnalysisTemplate',
    plural: 'analysistemplates',
    singular: 'analysistemplate',
    shortNames: ['at'],
    spec: analysisTemplateSpec,
    columns: [age],
  },
} as const satisfies Record<string, Kind>
