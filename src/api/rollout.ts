import { z } from 'zod'
import { duration } from './duration.ts'

const name = (description: string) =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be a Kubernetes name: lower-case letters, digits, - and .')
    .meta({ description })
const label = (description: string) => z.string().min(1).max(63).meta({ description })

const approval = z
  .object({
    required: z.int().min(1).max(10).default(1).meta({ description: 'How many different people must approve.' }),
    from: z
      .array(
        z
          .string()
          .min(3)
          .max(253)
          .regex(
            /^(user|group|slack-user|slack-group):.+$/,
            'must be user:, group:, slack-user: or slack-group: and a name',
          ),
      )
      .min(1)
      .max(50)
      .meta({
        description:
          'Who may decide: user:<Kubernetes user or e-mail>, group:<Kubernetes group>, slack-user:<id>, slack-group:<id>.',
      }),
    expires: duration('How long the question stays open.', { min: '1s' }).default('24h'),
    onExpiry: z.enum(['Reject', 'Hold']).default('Reject').meta({
      description: 'What an unanswered question does: reject the revision, or hold and ask again. It never approves.',
    }),
    separationOfDuties: z
      .boolean()
      .default(false)
      .meta({ description: 'The author of the change, and whoever asked for a retry, cannot be the only approver.' }),
  })
  .meta({ description: 'Ask people before traffic moves to this step.' })

const step = z
  .object({
    weight: z.int().min(1).max(100).meta({ description: 'Percent of the traffic that the canary gets.' }),
    hold: duration('How long traffic stays here under analysis before the step can pass.').default('5m'),
    approval: approval.optional(),
  })
  .meta({ description: 'One stop on the way.' })

const workload = z
  .object({
    subsets: z
      .object({
        desired: label('The subset to move to. Change it in Git to release.'),
        initialStable: label(
          'The subset that is stable when Sluice first sees this Rollout and nothing else says so.',
        ).optional(),
      })
      .optional()
      .meta({
        description: 'Versions that already run side by side, each selected by a subset of the DestinationRule.',
      }),
    deployment: z
      .object({
        name: name('The Deployment whose pod template is released.'),
        latch: z
          .enum(['Admission', 'Pause'])
          .default('Admission')
          .meta({ description: 'How a new template is kept from rolling by itself.' }),
        canaryReplicas: z
          .union([
            z.string().regex(/^(Proportional|[1-9][0-9]?%|100%)$/, 'must be Proportional, a number, or a percentage'),
            z.int().min(1),
          ])
          .default('Proportional')
          .meta({
            description:
              'Pods of the canary from the first step on: Proportional, a number, or a percentage of stable’s. Never fewer than its share of the traffic needs.',
            'x-kubernetes-int-or-string': true,
            'x-kubernetes-validations': [
              {
                rule: "type(self) == int ? self >= 1 : self.matches('^(Proportional|[1-9][0-9]?%|100%)$')",
                message: 'must be Proportional, a number, or a percentage',
              },
            ],
          }),
        trackConfig: z.boolean().default(false).meta({
          description:
            'Referenced ConfigMaps and Secrets are part of the revision; Sluice must be allowed to list and watch them (docs/deployments.md).',
        }),
        progressDeadline: duration('How long canary pods may take to become ready.', { min: '1s' }).default('10m'),
        scaleDownDelay: duration('How long canary pods stay after a retreat.').default('30s'),
      })
      .optional()
      .meta({ description: 'One Deployment whose template changes.' }),
  })
  .meta({
    description: 'What is released: exactly one of subsets and deployment.',
    'x-kubernetes-validations': [
      { rule: 'has(self.subsets) != has(self.deployment)', message: 'name exactly one of subsets and deployment' },
    ],
  })
  .refine((w) => (w.subsets === undefined) !== (w.deployment === undefined), {
    error: 'name exactly one of subsets and deployment',
  })

const traffic = z
  .object({
    istio: z
      .object({
        virtualService: z
          .object({
            name: name('The VirtualService, in the namespace of the Rollout.'),
            routes: z.array(label('Name of a route under http, tls or tcp.')).min(1).max(20).optional().meta({
              description:
                'The routes whose weights Sluice owns. May be left out when exactly one route splits traffic between the pair.',
            }),
          })
          .meta({ description: 'Where the weights are.' }),
        destinationRule: z
          .object({
            name: name('The DestinationRule whose subsets are meant.'),
            stableSubset: label('Deployment mode only: the subset of the stable pods; by default `stable`.').optional(),
            canarySubset: label('Deployment mode only: the subset of the canary pods; by default `canary`.').optional(),
          })
          .optional()
          .meta({
            description:
              'Where the subsets are. May be left out when exactly one DestinationRule in the namespace names the host.',
          }),
        services: z
          .object({
            stable: name('The Service that selects the stable pods.'),
            canary: name('The Service that selects the canary pods.'),
          })
          .optional()
          .meta({
            description:
              'Deployment mode only: the destinations are two Services of their own instead of subsets of one host.',
          }),
      })
      .refine((i) => i.services === undefined || i.destinationRule === undefined, {
        error: 'name only one of destinationRule and services',
      })
      .optional()
      .meta({
        description: 'Weights of an Istio VirtualService.',
        'x-kubernetes-validations': [
          {
            rule: '!(has(self.services) && has(self.destinationRule))',
            message: 'name only one of destinationRule and services',
          },
        ],
      }),
    linkerd: z
      .object({ service: name('The parent Service.'), httpRoute: name('The HTTPRoute.') })
      .optional()
      .meta({ description: 'Weights of a Linkerd HTTPRoute.' }),
    gatewayAPI: z
      .object({
        httpRoute: name('The HTTPRoute.'),
        stableService: name('Backend of the stable pods.'),
        canaryService: name('Backend of the canary pods.'),
      })
      .optional()
      .meta({ description: 'Weights of a Gateway API HTTPRoute.' }),
  })
  .meta({
    description: 'Where traffic is split: exactly one of istio, linkerd and gatewayAPI.',
    'x-kubernetes-validations': [
      {
        rule: '[has(self.istio), has(self.linkerd), has(self.gatewayAPI)].exists_one(x, x)',
        message: 'name exactly one of istio, linkerd and gatewayAPI',
      },
    ],
  })
  .refine((t) => [t.istio, t.linkerd, t.gatewayAPI].filter((x) => x !== undefined).length === 1, {
    error: 'name exactly one of istio, linkerd and gatewayAPI',
  })

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

const analysis = z
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

const cronLine = z.string().min(9).max(100)
const window = z
  .object({
    allow: cronLine.optional().meta({ description: 'Cron line at which an open window begins.' }),
    deny: cronLine.optional().meta({ description: 'Cron line at which a closed window begins.' }),
    for: duration('How long it lasts.', { min: '1m' }),
    timezone: z.string().max(64).default('UTC').meta({ description: 'IANA time zone of the cron line.' }),
  })
  .refine((w) => (w.allow === undefined) !== (w.deny === undefined), { error: 'name exactly one of allow and deny' })
  .meta({
    description: 'When forward moves may happen.',
    'x-kubernetes-validations': [
      { rule: 'has(self.allow) != has(self.deny)', message: 'name exactly one of allow and deny' },
    ],
  })

const defaultSteps = [10, 50, 100].map((weight) => ({ weight, hold: '5m' }))

/** What a team declares: what is released, over which weights, and what must stay true on the way. */
export const rolloutSpec = z
  .object({
    workload,
    traffic,
    steps: z
      .array(step)
      .min(1)
      .max(20)
      .default(defaultSteps)
      .refine((steps) => steps.every((s, i) => i === 0 || s.weight > steps[i - 1]!.weight), {
        error: 'weights must rise from step to step',
      })
      .refine((steps) => steps.at(-1)?.weight === 100, { error: 'the last step must have weight 100' })
      .meta({
        description: 'The stops on the way. Weights rise and end at 100.',
        'x-kubernetes-list-type': 'atomic',
        'x-kubernetes-validations': [
          {
            rule: 'size(self) == 0 || self[size(self) - 1].weight == 100',
            message: 'the last step must have weight 100',
          },
          {
            rule: 'self.all(s, self.exists_one(t, t.weight == s.weight))',
            message: 'weights must rise from step to step',
          },
          { rule: 'self.map(s, s.weight).isSorted()', message: 'weights must rise from step to step' },
        ],
      }),
    analysis: analysis.prefault({}),
    windows: z.array(window).max(20).default([]).meta({
      description: 'Forward moves happen only while every rule allows; retreats always.',
      'x-kubernetes-list-type': 'atomic',
    }),
    dependsOn: z
      .array(
        z.object({
          name: name('A Rollout that must be Healthy first.'),
          namespace: name('Its namespace; by default this one.').optional(),
        }),
      )
      .max(20)
      .default([])
      .meta({
        description: 'Rollouts that must be Healthy before this one moves forward.',
        'x-kubernetes-list-type': 'atomic',
      }),
    source: z
      .object({ name: name('A RolloutSource.'), namespace: name('Its namespace; by default this one.').optional() })
      .optional()
      .meta({ description: 'The repository to which state is committed.' }),
    suspend: z.boolean().default(false).meta({ description: 'Hands off: nothing is touched, a breach included.' }),
  })
  .meta({ description: 'What is released, over which weights, and what must stay true on the way.' })

/** A Rollout's spec with every default filled in. */
export type RolloutSpec = z.output<typeof rolloutSpec>
export type Step = RolloutSpec['steps'][number]
export type Sli = RolloutSpec['analysis']['slis'][number]
export type Analysis = RolloutSpec['analysis']
