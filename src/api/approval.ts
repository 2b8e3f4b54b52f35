import { z } from 'zod'

const decision = z
  .object({
    verdict: z.enum(['Approve', 'Reject']).meta({ description: 'Yes or no.' }),
    by: z.string().min(1).max(253).meta({
      description:
        'Who decided, as the channel knows them: user:<name>, slack-user:<id>, git-user:<login> or webhook:<name>.',
    }),
    groups: z
      .array(z.string().max(253))
      .max(200)
      .optional()
      .meta({ description: 'Groups of that person, as the channel knows them.' }),
    email: z.string().max(254).optional().meta({ description: 'E-mail address, where the channel vouches for it.' }),
    via: z.enum(['kubernetes', 'slack', 'git', 'webhook']).meta({ description: 'The channel.' }),
    digest: z.string().max(128).meta({ description: 'The digest that was shown to that person.' }),
    reason: z.string().max(1000).optional().meta({ description: 'Why.' }),
    at: z.string().max(64).meta({ description: 'When.' }),
    notBefore: z
      .string()
      .max(64)
      .optional()
      .meta({ description: 'With Approve: the move is allowed from this moment on, and not earlier.' }),
    override: z.boolean().optional().meta({
      description:
        'With Approve: an emergency; counts alone, whoever was asked. Needs the verb `override` on approvals and a reason.',
    }),
    id: z.string().max(256).optional().meta({ description: 'Identity of the click, so that it counts once.' }),
  })
  .meta({ description: 'What one person said.' })

const version = z.object({
  revision: z.string().max(253),
  image: z.string().max(1024).optional(),
})

const change = z
  .object({
    from: version.optional().meta({ description: 'What is stable.' }),
    to: version.meta({ description: 'What is tried.' }),
    author: z.string().max(512).optional().meta({ description: 'Who brought it.' }),
    compareUrl: z.string().max(2048).optional().meta({ description: 'Where the forge shows the difference.' }),
    commits: z
      .array(z.object({ sha: z.string().max(64), subject: z.string().max(300), author: z.string().max(300) }))
      .max(20)
      .optional()
      .meta({ description: 'The newest commits since stable was desired.' }),
    commitCount: z.int().optional().meta({ description: 'How many there are, where more than are named.' }),
  })
  .meta({ description: 'What would change.' })

/** One asked gate: created by Sluice, decided by people, spent once. */
export const approvalSpec = z
  .object({
    rollout: z.string().max(253).meta({ description: 'The Rollout, in the same namespace.' }),
    revision: z.string().max(253).meta({ description: 'The revision that would get more traffic.' }),
    step: z.int().meta({ description: 'The step that would be entered.' }),
    steps: z.int().meta({ description: 'How many steps there are.' }),
    from: z.number().meta({ description: 'Percent of the traffic now.' }),
    to: z.number().meta({ description: 'Percent of the traffic then.' }),
    digest: z
      .string()
      .max(128)
      .meta({ description: 'Hash of the exact move; a decision counts only for this digest.' }),
    requiredFrom: z
      .array(z.string().max(253))
      .max(10)
      .optional()
      .meta({ description: 'Somebody of each of these must be among the approvers.' }),
    change: change.optional(),
    required: z.int().min(1).meta({ description: 'How many different people must approve.' }),
    allowed: z.array(z.string().max(253)).max(60).meta({ description: 'Who may decide: `from` and `requiredFrom`.' }),
    separationOfDuties: z.boolean().default(false),
    authors: z.array(z.string().max(253)).max(20).default([]).meta({ description: 'Who cannot be the only approver.' }),
    expiresAt: z.string().max(64).meta({ description: 'When the question closes.' }),
    onExpiry: z.enum(['Reject', 'Hold']),
    evidence: z
      .array(z.string().max(500))
      .max(50)
      .default([])
      .meta({ description: 'What the analysis said when it was asked.' }),
    decisions: z
      .array(decision)
      .max(100)
      .default([])
      .meta({ description: 'What people said. Entries are only ever added.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'A question to people: may this much traffic move to this revision?' })

export const approvalStatus = z
  .object({
    state: z.enum(['Pending', 'Approved', 'Rejected', 'Expired', 'Void', 'Consumed']).optional(),
    message: z.string().optional().meta({ description: 'One sentence for people.' }),
    by: z.array(z.string()).max(100).optional(),
    refused: z.array(z.string()).max(100).optional().meta({ description: 'Decisions that do not count, and why.' }),
    slack: z
      .object({
        channel: z.string(),
        ts: z.string(),
        shown: z.string().max(64).optional().meta({ description: 'Hash of what the message says.' }),
      })
      .optional()
      .meta({ description: 'The message that asks.' }),
    outcome: z
      .object({
        result: z.enum(['Promoted', 'RolledBack', 'Aborted', 'Superseded', 'Reverted']),
        message: z.string().max(1000),
        at: z.string().max(64),
      })
      .optional()
      .meta({ description: 'What became of the rollout that asked.' }),
    pullRequest: z
      .object({ url: z.string().max(2048), number: z.int() })
      .optional()
      .meta({ description: 'The pull request that asks.' }),
    notBefore: z.string().max(64).optional().meta({ description: 'Approved, but not to be moved before.' }),
  })
  .meta({ description: 'What came of it.' })

export type ApprovalSpec = z.output<typeof approvalSpec>
export type ApprovalStatus = z.output<typeof approvalStatus>
export type Decision = z.output<typeof decision>
