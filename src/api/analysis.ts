import { z } from 'zod'
import { duration } from './duration.ts'
import { name } from './name.ts'

/** One service level indicator. */
export const sli = z
  .object({
    name: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and -')
      .meta({ description: 'Names the SLI in status, messages and commits.' }),
    successRate: z
      .object({ objective: z.number().gt(0).lt(100).meta({ description: 'Percent of requests that must succeed.' }) })
      .optional()
      .meta({ description: 'Share of requests that succeed, counted by the mesh.' }),
    latency: z
      .object({
        objective: z
          .number()
          .gt(0)
          .lt(100)
          .meta({ description: 'Percent of requests that must be faster than the threshold.' }),
        threshold: duration('Requests slower than this are bad. Must be a bound of the mesh’s latency histogram.', {
          min: '1ms',
        }),
      })
      .optional()
      .meta({ description: 'Share of requests that are fast enough, counted from the mesh’s latency histogram.' }),
    query: z
      .object({
        promql: z.string().min(1).max(4096).meta({
          description:
            'A query that answers one number. ${namespace}, ${name}, ${canary.workload}, ${stable.workload}, ${canary.revision} and ${stable.revision} are replaced.',
        }),
        min: z.number().optional().meta({ description: 'The lowest good value.' }),
        max: z.number().optional().meta({ description: 'The highest good value.' }),
        failureLimit: z
          .int()
          .min(1)
          .max(100)
          .default(3)
          .meta({ description: 'Breach after this many consecutive samples outside the bounds.' }),
      })
      .optional()
      .refine((q) => q === undefined || q.min !== undefined || q.max !== undefined, { error: 'give min, max or both' })
      .meta({
        description: 'A number of your own with bounds.',
        'x-kubernetes-validations': [{ rule: 'has(self.min) || has(self.max)', message: 'give min, max or both' }],
      }),
  })
  .refine((s) => [s.successRate, s.latency, s.query].filter((x) => x !== undefined).length === 1, {
    error: 'name exactly one of successRate, latency and query',
  })
  .meta({
    description: 'One service level indicator.',
    'x-kubernetes-validations': [
      {
        rule: '[has(self.successRate), has(self.latency), has(self.query)].exists_one(x, x)',
        message: 'name exactly one of successRate, latency and query',
      },
    ],
  })

/** What must stay true for traffic to go on. */
export const analysis = z
  .object({
    interval: duration('How often the evidence is looked at.', { min: '1s', max: '10m' }).default('15s'),
    slis: z
      .array(sli)
      .min(1)
      .max(20)
      .default([{ name: 'success-rate', successRate: { objective: 99 } }])
      .refine((slis) => new Set(slis.map((s) => s.name)).size === slis.length, { error: 'names must differ' })
      .meta({
        description: 'What is measured.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    templates: z
      .array(
        z.object({
          name: name('An AnalysisTemplate in this namespace.'),
          args: z.record(z.string(), z.string()).optional().meta({ description: 'Values of its arguments.' }),
        }),
      )
      .max(10)
      .optional()
      .meta({ description: 'Named lists of SLIs to add.' }),
    compare: z
      .object({
        maxRatio: z
          .number()
          .min(1)
          .max(100)
          .meta({ description: 'Roll back when the canary’s bad share is more than this many times stable’s.' }),
      })
      .optional()
      .meta({ description: 'Also compare the canary with stable, within the objective.' }),
    minRequests: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(100)
      .meta({ description: 'Canary requests that each ratio SLI must have seen in a step before it can pass.' }),
    alpha: z
      .number()
      .min(0.000001)
      .max(0.2)
      .default(0.01)
      .meta({
        description: 'Probability of rolling back a canary that meets its objectives, over the whole rollout.',
        // The API server compares a whole number with the whole part of a minimum only: 0 would pass.
        'x-kubernetes-validations': [{ rule: 'self >= 0.000001', message: 'must be at least 0.000001' }],
      }),
    maxSampleAge: duration('Samples older than this are no data.', { min: '1s' }).default('45s'),
    onInsufficientData: z
      .object({
        after: duration('How long to wait for minRequests.').default('10m'),
        do: z.enum(['Hold', 'Rollback', 'Proceed']).default('Hold').meta({ description: 'What to do then.' }),
      })
      .default({ after: '10m', do: 'Hold' })
      .meta({ description: 'When Prometheus answers but the canary gets too few requests.' }),
    prometheus: z
      .object({
        url: z
          .string()
          .max(2048)
          .regex(/^https?:\/\//, 'must start with http:// or https://')
          .meta({ description: 'Base URL of the Prometheus HTTP API.' }),
        secretRef: z
          .object({ name: name('A Secret in this namespace with token, or username and password.') })
          .optional()
          .meta({ description: 'Credentials.' }),
      })
      .optional()
      .meta({ description: 'A Prometheus of its own instead of the controller’s.' }),
  })
  .meta({ description: 'What must stay true for traffic to go on.' })
