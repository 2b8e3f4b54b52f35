import { z } from 'zod'
import { duration } from './duration.ts'
import { notify } from './notify.ts'

/** What the tokens of GitHub and GitLab begin with: in the place of a user name they would stand in messages and logs. */
const tokenAsUser = /^https?:\/\/(gh[pousr]_|github_pat_|gl[a-z]+-)[^/]*@/

const placeholders =
  'Replaced: ${subject}, ${kind}, ${namespace}, ${name}, ${cluster}, ${revision}, ${step}, ${weight}, ${verdict}, ${approvedBy}.'

const pullRequest = z
  .object({
    provider: z
      .enum(['GitHub', 'GitLab'])
      .optional()
      .meta({ description: 'The forge; told by the host for github.com and gitlab.com, to be given for all others.' }),
    apiUrl: z
      .string()
      .max(2048)
      .regex(/^https?:\/\/[^@\s]+$/, 'must be an http or https URL without a password')
      .optional()
      .meta({ description: 'Base of its API where that is not the usual one of its host.' }),
    secretRef: z
      .object({ name: z.string().min(1).max(253) })
      .optional()
      .meta({ description: 'A Secret with `token`; by default the password of secretRef above.' }),
    labels: z.array(z.string().min(1).max(100)).max(10).optional().meta({
      description: 'Labels that its pull requests get.',
      'x-kubernetes-list-type': 'set',
    }),
  })
  .meta({ description: 'For mode PullRequest: where and how they are opened.' })

/** A Git repository where Rollouts are declared and to which their state is committed. */
export const rolloutSourceSpec = z
  .object({
    url: z
      .string()
      .min(1)
      .max(2048)
      .regex(/^(https?:\/\/|ssh:\/\/|file:\/\/|[^@/\s]+@[^:/\s]+:)/, 'must be an https, ssh or file URL')
      .refine((url) => !/^https?:\/\/[^/]*:[^/]*@/.test(url), {
        error: 'must not carry a password; put it into the Secret of secretRef',
      })
      .refine((url) => !tokenAsUser.test(url), {
        error: 'must not carry a token; put it into the Secret of secretRef',
      })
      .meta({
        description: 'Where the repository is: https://…, ssh://…, git@host:path or file:///…',
        'x-kubernetes-validations': [
          {
            rule: "!self.matches('^https?://[^/]*:[^/]*@')",
            message: 'must not carry a password; put it into the Secret of secretRef',
          },
          {
            rule: `!self.matches('${tokenAsUser.source.replaceAll('\\', '')}')`,
            message: 'must not carry a token; put it into the Secret of secretRef',
          },
        ],
      }),
    branch: z.string().min(1).max(255).default('main').meta({ description: 'The branch that is read and written.' }),
    path: z
      .string()
      .max(1024)
      .default('')
      .refine((p) => !p.split('/').includes('..') && !p.startsWith('/'), {
        error: 'must be a folder inside the repository',
      })
      .meta({
        description: 'The folder with the manifests; empty for the whole repository.',
        'x-kubernetes-validations': [
          {
            rule: "!self.startsWith('/') && !self.split('/').exists(p, p == '..')",
            message: 'must be a folder inside the repository',
          },
        ],
      }),
    interval: duration('How often the remote is asked for news.', { min: '1s' }).default('30s'),
    secretRef: z
      .object({ name: z.string().min(1).max(253) })
      .optional()
      .meta({
        description:
          'A Secret in this namespace: username and password (https), or identity and known_hosts (ssh), optionally ca.crt.',
      }),
    apply: z.enum(['Rollouts', 'All', 'None']).default('Rollouts').meta({
      description:
        'What is applied to the cluster: the Rollouts only, everything, or nothing (where Flux or Argo CD already applies).',
    }),
    prune: z
      .boolean()
      .default(false)
      .meta({ description: 'Delete what this source applied earlier and the repository has no more.' }),
    serviceAccountName: z.string().min(1).max(253).optional().meta({
      description:
        'Apply as this ServiceAccount of the same namespace, so that the repository can do no more than it may.',
    }),
    write: z
      .object({
        mode: z.enum(['Push', 'PullRequest', 'Off']).default('Push').meta({
          description: 'How state is committed. Write "Off" with its quotes: without them YAML reads a boolean.',
        }),
        commits: z
          .enum(['EveryStep', 'Outcomes'])
          .default('EveryStep')
          .meta({ description: 'A commit for every move, or only for what came of a rollout.' }),
        author: z
          .object({ name: z.string().min(1).max(128), email: z.string().min(3).max(254) })
          .default({ name: 'Sluice', email: 'sluice@sluice.dev' })
          .meta({ description: `Author of the commits. ${placeholders}` }),
        message: z
          .object({
            subject: z
              .string()
              .min(1)
              .max(500)
              .optional()
              .meta({
                description: `First line, by default \${subject}: chore(delivery): \${subject}. ${placeholders}`,
              }),
            body: z
              .string()
              .max(2000)
              .optional()
              .meta({ description: `What stands between the first line and the trailers. ${placeholders}` }),
            skipCI: z
              .boolean()
              .default(false)
              .meta({ description: 'Add [skip ci] to the first line, so that pipelines leave these commits alone.' }),
          })
          .optional()
          .meta({ description: 'How commits are worded. Their Git trailers are always there.' }),
        signingKeyRef: z
          .object({ name: z.string().min(1).max(253) })
          .optional()
          .meta({
            description:
              'A Secret in this namespace with an SSH private key (`identity` or `ssh-privatekey`, without a passphrase) to sign commits with.',
          }),
        pullRequest: pullRequest.optional(),
      })
      // In full: the API server checks a default against the rule below without filling in the defaults inside it.
      .default({ mode: 'Push', commits: 'EveryStep', author: { name: 'Sluice', email: 'sluice@sluice.dev' } })
      .refine((w) => w.mode !== 'PullRequest' || w.commits === 'Outcomes', {
        error: 'mode PullRequest requires commits: Outcomes',
      })
      .meta({
        description: 'What Sluice writes to the repository.',
        'x-kubernetes-validations': [
          {
            rule: "self.mode != 'PullRequest' || self.commits == 'Outcomes'",
            message: 'mode PullRequest requires commits: Outcomes',
          },
        ],
      }),
    webhook: z
      .object({ secretRef: z.object({ name: z.string().min(1).max(253) }) })
      .optional()
      .meta({
        description:
          'Lets the forge tell of pushes at /hooks/git/<namespace>/<name> of the controller: a Secret in this namespace with `token` (GitHub’s and any other’s HMAC key, GitLab’s secret token).',
      }),
    notify: notify.optional(),
    allowedNamespaces: z.array(z.string().min(1).max(63)).max(100).default([]).meta({
      description:
        'Namespaces whose Rollouts may commit here and into which this source may apply, besides its own. "*" for all.',
      'x-kubernetes-list-type': 'set',
    }),
    suspend: z.boolean().default(false).meta({ description: 'Neither read nor write.' }),
  })
  .meta({ description: 'A Git repository where Rollouts are declared and to which their state is committed.' })

export const rolloutSourceStatus = z
  .object({
    observedGeneration: z.int().optional(),
    message: z.string().optional().meta({ description: 'One sentence for people.' }),
    lastSync: z
      .object({
        commit: z.string(),
        at: z.string(),
        applied: z.int(),
        unchanged: z.int(),
        pruned: z.int(),
        failed: z.int(),
      })
      .optional()
      .meta({ description: 'The commit that was applied last.' }),
    errors: z
      .array(
        z.object({ file: z.string(), line: z.int().optional(), object: z.string().optional(), message: z.string() }),
      )
      .max(50)
      .optional()
      .meta({ description: 'What could not be applied, by file and line.' }),
    inventory: z
      .array(z.string())
      .max(5000)
      .optional()
      .meta({ description: 'What this source has applied: group/version/plural/namespace/name.' }),
    lastPush: z.object({ commit: z.string(), at: z.string() }).optional(),
    lastWebhook: z
      .object({ at: z.string(), from: z.string() })
      .optional()
      .meta({ description: 'When a forge last told of news, and which kind of forge.' }),
    conditions: z
      .array(
        z.object({
          type: z.string(),
          status: z.enum(['True', 'False', 'Unknown']),
          reason: z.string(),
          message: z.string(),
          lastTransitionTime: z.string(),
          observedGeneration: z.int().optional(),
        }),
      )
      .max(10)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
  })
  .meta({ description: 'What became of the last synchronisation.' })

export type RolloutSourceSpec = z.output<typeof rolloutSourceSpec>
export type RolloutSourceStatus = z.output<typeof rolloutSourceStatus>
