import { z } from 'zod'

/** What people can be told of. */
export const topics = [
  'started',
  'step',
  'approval',
  'promoted',
  'rolledBack',
  'paused',
  'stuck',
  'override',
  'git',
] as const

export type Topic = (typeof topics)[number]

/** What is told where nobody says otherwise: what somebody may have to act on, and how it ended. */
export const usualTopics: readonly Topic[] = ['approval', 'promoted', 'rolledBack', 'paused', 'stuck', 'override']

/** One place that is told, and of what. */
const target = z
  .object({
    slack: z
      .object({
        channel: z
          .string()
          .min(2)
          .max(80)
          .regex(/^[#A-Za-z0-9][^\s]*$/, 'must be the id or the name of a channel')
          .meta({ description: 'Id (C0123456789) or name of a channel that the Slack app is a member of.' }),
      })
      .optional()
      .meta({ description: 'A Slack channel, told with the controller’s own token.' }),
    webhook: z
      .object({
        url: z
          .string()
          .max(2048)
          .regex(/^https?:\/\/[^@\s]+$/, 'must be an http or https URL without a password')
          .optional()
          .meta({ description: 'Where the JSON is posted; may stand in the Secret instead.' }),
        secretRef: z
          .object({ name: z.string().min(1).max(253) })
          .optional()
          .meta({
            description:
              'A Secret in the same namespace: `url` (where it is not above) and `secret`, the key that signs the body.',
          }),
      })
      .refine((w) => w.url !== undefined || w.secretRef !== undefined, { error: 'give url, secretRef or both' })
      .optional()
      .meta({
        description: 'Any HTTP endpoint.',
        'x-kubernetes-validations': [
          { rule: 'has(self.url) || has(self.secretRef)', message: 'give url, secretRef or both' },
        ],
      }),
    on: z
      .array(z.enum(topics))
      .min(1)
      .max(topics.length)
      .optional()
      .meta({
        description: `What is told: ${topics.join(', ')}. By default ${usualTopics.join(', ')}.`,
        'x-kubernetes-list-type': 'set',
      }),
  })
  .refine((t) => (t.slack === undefined) !== (t.webhook === undefined), {
    error: 'name exactly one of slack and webhook',
  })
  .meta({
    description: 'One place that is told.',
    'x-kubernetes-validations': [
      { rule: 'has(self.slack) != has(self.webhook)', message: 'name exactly one of slack and webhook' },
    ],
  })

/** Who is told of what. */
export const notify = z.array(target).max(10).meta({
  description:
    'Who is told of what; an empty list: nobody but Kubernetes events. By default what the RolloutSource says, else the controller’s own channels.',
  'x-kubernetes-list-type': 'atomic',
})

export type NotifyTarget = z.output<typeof target>
