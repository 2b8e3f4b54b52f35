import { z } from 'zod'
import { duration } from './duration.ts'

const person = z
  .string()
  .min(3)
  .max(253)
  .regex(
    /^(user|group|slack-user|slack-group|git-user|git-group|webhook):.+$/,
    'must be user:, group:, slack-user:, slack-group:, git-user:, git-group: or webhook: and a name',
  )

const approval = z
  .object({
    required: z.int().min(1).max(10).default(1).meta({ description: 'How many different people must approve.' }),
    from: z.array(person).min(1).max(50).meta({
      description:
        'Who may decide: user:<Kubernetes user or e-mail>, group:<Kubernetes group>, slack-user:<id>, slack-group:<id>, git-user:<login at the forge>, git-group:<team at the forge>, webhook:<name of its Secret>.',
    }),
    requiredFrom: z.array(person).min(1).max(10).optional().meta({
      description:
        'Somebody of each of these must be among the approvers, as group:security. One person counts for every entry that names them.',
      'x-kubernetes-list-type': 'set',
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

/** One stop on the way. */
export const step = z
  .object({
    weight: z.int().min(1).max(100).meta({ description: 'Percent of the traffic that the canary gets.' }),
    hold: duration('How long traffic stays here under analysis before the step can pass.').default('5m'),
    approval: approval.optional(),
  })
  .meta({ description: 'One stop on the way.' })
