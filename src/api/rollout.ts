import { z } from 'zod'
import { analysis } from './analysis.ts'
import { committedValues } from './committed.ts'
import { duration } from './duration.ts'
import { label, name } from './name.ts'
import { notify } from './notify.ts'
import { step } from './step.ts'

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

/** What of spec.source.values belongs to the other mode: where Sluice would never look, or not know what to write. */
const misplaced = [
  { field: 'images', mode: 'subsets', message: 'is for Deployments: with workload.subsets name values.desired' },
  {
    field: 'weights',
    mode: 'subsets',
    message:
      'is for Deployments: with workload.subsets each subset is now stable, now the canary; write the weights in the VirtualService',
  },
  { field: 'desired', mode: 'deployment', message: 'is for subsets: with workload.deployment name values.images' },
] as const

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
      .object({
        name: name('A RolloutSource.'),
        namespace: name('Its namespace; by default this one.').optional(),
        values: committedValues.optional(),
      })
      .optional()
      .meta({ description: 'The repository to which state is committed.' }),
    notify: notify.optional(),
    suspend: z.boolean().default(false).meta({ description: 'Hands off: nothing is touched, a breach included.' }),
  })
  .superRefine(({ workload: released, source }, context) => {
    for (const { field, mode, message } of misplaced) {
      if (released[mode] === undefined || source?.values?.[field] === undefined) continue
      context.addIssue({ code: 'custom', path: ['source', 'values', field], message, input: source.values[field] })
    }
  })
  .meta({
    description: 'What is released, over which weights, and what must stay true on the way.',
    'x-kubernetes-validations': misplaced.map(({ field, mode, message }) => ({
      rule: `!has(self.workload.${mode}) || !has(self.source) || !has(self.source.values) || !has(self.source.values.${field})`,
      message,
      fieldPath: `.source.values.${field}`,
    })),
  })

/** A Rollout's spec with every default filled in. */
export type RolloutSpec = z.output<typeof rolloutSpec>
export type Step = RolloutSpec['steps'][number]
export type Sli = RolloutSpec['analysis']['slis'][number]
export type Analysis = RolloutSpec['analysis']
