import { z } from 'zod'

const time = (description: string) => z.string().max(64).meta({ description, format: 'date-time' })

export const phases = [
  'Pending',
  'Healthy',
  'Progressing',
  'AwaitingApproval',
  'Paused',
  'Promoting',
  'RollingBack',
  'RolledBack',
  'Invalid',
] as const

const revisionRecord = z
  .object({
    revision: z.string().meta({
      description: 'Name of the content: the subset, or the tag of the image, and a hash of the pod templates.',
    }),
    name: z.string().meta({ description: 'The subset, or the tag of the image.' }),
    hash: z.string().meta({ description: 'Hash of the pod templates.' }),
    format: z.int().meta({ description: 'Version of the way the hash is computed.' }),
    image: z.string().optional().meta({ description: 'Image of the first container.' }),
    workloads: z
      .array(z.object({ name: z.string(), uid: z.string(), generation: z.int() }))
      .max(50)
      .meta({ description: 'The Deployments behind it and the generation at which they were hashed.' }),
    tested: z.boolean().optional().meta({ description: 'False when the content changed in place while it served.' }),
    remembered: z.string().optional().meta({
      description: 'What Git remembered as stable when Sluice found this content serving instead.',
    }),
    template: z.string().optional().meta({
      description:
        'With trackConfig: hash of the pod template alone, as Git knows it; the other one covers configuration too.',
    }),
    config: z
      .object({
        hash: z
          .string()
          .meta({ description: 'Hash of all of it, as the annotation sluice.dev/config of pods has it.' }),
        objects: z.record(z.string(), z.string()).meta({ description: 'Hash of each object, by kind/name.' }),
      })
      .optional()
      .meta({ description: 'With trackConfig: the ConfigMaps and Secrets that the template refers to.' }),
  })
  .meta({ description: 'One version of the workload.' })

const sliStatus = z
  .object({
    name: z.string(),
    good: z.number().optional().meta({ description: 'Good canary events of this attempt.' }),
    bad: z.number().optional().meta({ description: 'Bad canary events of this attempt.' }),
    stepEvents: z.number().optional().meta({ description: 'Canary events since the current weight was set.' }),
    observed: z.string().optional().meta({ description: 'What was measured, for people.' }),
    objective: z.string().meta({ description: 'What was promised, for people.' }),
    evidence: z
      .number()
      .optional()
      .meta({ description: 'log10 of the evidence against the objective; a breach at log10(tests / alpha).' }),
    verdict: z.enum(['Pass', 'Breach', 'Undecided', 'NoData', 'Error']),
    message: z.string().optional().meta({ description: 'Why there is no answer, when there is none.' }),
    since: time('Since when the verdict has been this.').optional(),
    checkpoint: z.string().max(8192).optional().meta({ description: 'Where the evidence resumes after a restart.' }),
  })
  .meta({ description: 'What one SLI says.' })

const pendingCommit = z
  .object({
    op: z.string().meta({ description: 'Names the operation; its commit carries it as the trailer Rollout-Op.' }),
    kind: z.enum(['step', 'rollback', 'abort', 'promote', 'retry', 'restore', 'adopt', 'delete']),
    subject: z.string().meta({ description: 'First line of the commit message.' }),
    trailers: z.record(z.string(), z.string()).meta({ description: 'Git trailers of the commit.' }),
    weights: z
      .object({ stable: z.string(), canary: z.string(), weight: z.number() })
      .optional()
      .meta({ description: 'The pair of destinations and the canary’s percentage to write into the route manifest.' }),
    desired: z
      .object({ from: z.string(), to: z.string() })
      .optional()
      .meta({ description: 'Put the desired version back: only if it still is `from`.' }),
    template: z
      .object({
        deployment: z.string(),
        from: z.object({ revision: z.string(), hash: z.string() }),
        to: z.object({ revision: z.string(), hash: z.string() }),
      })
      .optional()
      .meta({
        description:
          'Put the Deployment’s pod template as it stood when it was `to`: only if its content in Git still is `from`.',
      }),
    accept: z
      .string()
      .optional()
      .meta({ description: 'A person’s commit up to which weights in Git are accepted as they are.' }),
    at: time('When it was decided.'),
    base: z.string().optional().meta({ description: 'Tip of the branch when it was decided.' }),
    void: z.boolean().optional().meta({ description: 'The move was given up; the commit is not needed any more.' }),
    reason: z.string().optional().meta({ description: 'Why it has not been committed yet.' }),
    proposed: z
      .string()
      .max(2048)
      .optional()
      .meta({ description: 'The pull request it lies in; people decide when, and nobody waits for it.' }),
    declined: z
      .boolean()
      .optional()
      .meta({ description: 'A person closed its pull request; it is not opened again before the next outcome.' }),
  })
  .meta({ description: 'A commit that is still to be made.' })

const outcome = z.object({
  revision: z.string(),
  image: z.string().optional(),
  result: z.enum(['Promoted', 'RolledBack', 'Aborted', 'Superseded', 'Reverted']),
  reason: z.string(),
  message: z.string(),
  at: time('When.'),
})

const condition = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: time('When the status last changed.'),
  observedGeneration: z.int().optional(),
})

const deploymentStatus = z
  .object({
    latch: z
      .object({ proven: z.boolean(), message: z.string().optional(), at: time('When it was looked at last.') })
      .optional()
      .meta({ description: 'Whether a new template is kept from rolling by itself.' }),
    floor: z.int().optional().meta({ description: 'Pods that stable keeps while a rollout is in flight.' }),
    capacity: z
      .object({
        replicas: z.int().meta({ description: 'Canary pods that are wanted.' }),
        since: time('Since when that many are wanted.'),
        met: z.boolean().optional().meta({ description: 'That many have been ready.' }),
      })
      .optional()
      .meta({ description: 'What the canary needs for its share of the traffic.' }),
    promotion: z
      .object({
        previous: revisionRecord,
        at: time('When the last step had passed.'),
        resumedAt: time('Since when the Deployment rolls: from here on the old pods are going.').optional(),
      })
      .optional()
      .meta({ description: 'The canary has passed and the Deployment takes over its content.' }),
    restoring: revisionRecord
      .optional()
      .meta({ description: 'Content that the Deployment rolls back to after a breach during promotion.' }),
    leaving: time('Since when the canary pods are not needed any more.').optional(),
  })
  .meta({ description: 'Deployment mode: what becomes of the Deployment and of the canary pods.' })

/** What a person reads first. Written in one place only (controller/record). */
export const rolloutStatus = z
  .object({
    observedGeneration: z.int().optional(),
    phase: z.enum(phases).optional().meta({ description: 'Where the rollout is.' }),
    message: z.string().optional().meta({ description: 'One sentence: what it waits for, or why it acted.' }),
    stable: revisionRecord.optional(),
    canary: revisionRecord.optional(),
    attempt: z.int().optional().meta({ description: 'Counts the starts of rollouts.' }),
    move: z.int().optional().meta({ description: 'Counts the intents to move.' }),
    startedAt: time('When this attempt started.').optional(),
    exposedAt: time('Since when the canary of this attempt has had traffic: its evidence begins here.').optional(),
    author: z.string().optional().meta({ description: 'Who brought the canary’s content, where Git tells.' }),
    stepSummary: z.string().optional().meta({ description: 'Step and number of steps, for tables.' }),
    step: z
      .object({
        index: z.int().meta({ description: '0 before the first step, then the step’s number.' }),
        weight: z.number().meta({ description: 'Percent of the traffic that was given to the canary.' }),
        since: time('When this weight was accepted.'),
        over: z.string().optional().meta({
          description:
            'resourceVersion of the route over which this weight was written; what a cache still shows of it is older than the write.',
        }),
        heldMs: z.number().optional().meta({
          description: 'Milliseconds of the hold that have counted up to heldAt (or for good, when the clock stands).',
        }),
        heldAt: time('Since when the clock of the hold runs; absent while it stands.').optional(),
        suspendedMs: z.number().optional().meta({ description: 'Milliseconds of this step spent suspended.' }),
        waived: z.string().optional().meta({ description: 'Why hold and minRequests of this step are waived.' }),
        approvedBy: z.array(z.string()).optional().meta({ description: 'Who approved this step.' }),
        override: z.string().optional().meta({ description: 'Why this step was entered by an emergency approval.' }),
        entering: z
          .object({
            index: z.int(),
            weight: z.number(),
            from: z.number(),
            digest: z.string(),
            op: z.string(),
            at: time('When the intent was recorded.'),
            approvedBy: z.array(z.string()).optional(),
            override: z.string().optional(),
          })
          .optional()
          .meta({ description: 'The intent to move to the next step.' }),
      })
      .optional(),
    raised: z
      .object({ count: z.int(), by: z.string(), index: z.int() })
      .optional()
      .meta({ description: 'Somebody else raised the canary’s weight, this often in one step.' }),
    lowered: z
      .object({ count: z.int(), at: time('When.'), by: z.string(), index: z.int(), settled: z.boolean().optional() })
      .optional()
      .meta({ description: 'Somebody else lowered the canary’s weight.' }),
    asks: z.int().optional().meta({
      description: 'Counts the questions asked in this attempt that are closed; each question is another digest.',
    }),
    unreadySince: time('Since when no canary pod has been ready while it carries traffic.').optional(),
    waiveHolds: z.boolean().optional().meta({ description: 'A person asked to end all remaining holds.' }),
    analysis: z.array(sliStatus).max(40).optional(),
    approval: z
      .object({
        name: z.string(),
        step: z.int(),
        digest: z.string(),
        state: z.enum(['Pending', 'Approved', 'Rejected', 'Expired', 'Consumed']),
        by: z.array(z.string()).optional(),
        since: time('When it was asked.'),
        notBefore: time('Approved, but not to be moved before this.').optional(),
        override: z.string().optional().meta({ description: 'The reason given for an emergency approval.' }),
      })
      .optional()
      .meta({ description: 'The question that is open, or was answered last.' }),
    window: z
      .object({
        open: z.boolean().meta({ description: 'Whether forward moves may happen.' }),
        reason: z.string().optional().meta({ description: 'Why not.' }),
        opensAt: time('When they may happen again at the earliest.').optional(),
        until: time('It stays so at least until then.').optional(),
        at: time('When that was worked out.'),
        generation: z.int().meta({ description: 'For which spec.' }),
      })
      .optional()
      .meta({ description: 'What spec.windows say while a rollout is in flight.' }),
    paused: z
      .object({
        reason: z.enum(['Requested', 'GitConflict', 'WeightContested']),
        message: z.string(),
        by: z.string().optional(),
        at: time('When.'),
        commit: z.string().optional(),
        tip: z.string().optional().meta({ description: 'Tip of the branch when it was paused.' }),
      })
      .optional(),
    retreating: z
      .object({
        result: z.enum(['RolledBack', 'Aborted', 'Superseded', 'Reverted']),
        reason: z.string(),
        message: z.string(),
        verdict: z.string().optional(),
        at: time('When it was decided.'),
      })
      .optional()
      .meta({ description: 'A retreat whose weight write has not been confirmed yet.' }),
    git: z
      .object({
        committed: z.boolean().optional().meta({ description: 'Everything that matters is in Git.' }),
        pending: z.array(pendingCommit).max(50).optional(),
        lastCommit: z.string().optional(),
        lastCommitAt: time('When.').optional(),
        message: z.string().optional().meta({ description: 'What stands in the way.' }),
        accepted: z
          .string()
          .optional()
          .meta({ description: 'The person’s commit up to which weights in Git are accepted.' }),
      })
      .optional(),
    knownBad: z
      .array(
        z.object({
          revision: z.string(),
          name: z.string(),
          hash: z.string(),
          image: z.string().optional(),
          template: z.string().optional().meta({
            description: 'Hash of the pod template alone, where that and not only configuration was new.',
          }),
          reason: z.string(),
          message: z.string().optional(),
          at: time('When.'),
          commit: z.string().optional(),
          file: z.string().optional(),
        }),
      )
      .max(20)
      .optional()
      .meta({ description: 'Revisions that are not tried again.' }),
    lastOutcome: outcome.optional(),
    lastRequest: z
      .object({
        id: z.string(),
        verb: z.string(),
        by: z.string().optional(),
        result: z.enum(['Done', 'Void', 'Refused']),
        message: z.string(),
        at: time('When.'),
      })
      .optional(),
    retriedBy: z.string().optional().meta({ description: 'Who asked for this revision to be tried again.' }),
    history: z.array(outcome).max(10).optional(),
    suspendedAt: time('Since when hands are off.').optional(),
    deployment: deploymentStatus.optional(),
    lastValid: z
      .string()
      .max(32768)
      .optional()
      .meta({ description: 'The last valid spec as JSON: guard and retreat go on with it.' }),
    conditions: z
      .array(condition)
      .max(10)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
  })
  .meta({ description: 'What Sluice sees and does.' })

export type RolloutStatus = z.output<typeof rolloutStatus>
export type Phase = (typeof phases)[number]
export type RevisionRecord = z.output<typeof revisionRecord>
export type ConfigRecord = NonNullable<RevisionRecord['config']>
export type SliStatus = z.output<typeof sliStatus>
export type PendingCommit = z.output<typeof pendingCommit>
export type Outcome = z.output<typeof outcome>
export type Condition = z.output<typeof condition>
