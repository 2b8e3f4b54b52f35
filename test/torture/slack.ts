import { readApproval } from '../../src/approval/object.ts'
import { approveAction } from '../../src/approval/slack-click.ts'
import { signSlackRequest } from '../../src/approval/slack-signature.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { type FakeSlack, member, startFakeSlack } from '../approval/fake-slack.ts'

const SECRET = 'a signing secret of no importance'
const APPROVER = 'U0DANA'
/** Who answers there, as a Rollout names it. */
export const SLACK_APPROVER = `slack-user:${APPROVER}`

/** A workspace with one person in it. */
export interface Slack {
  /** Environment of a controller that uses it. */
  env: Record<string, string>
  /** Makes every method fail alike, until `mend`. */
  break(fault: { status?: number; retryAfter?: string; hang?: boolean }): void
  mend(): void
  /** Clicks "approve" on the newest message about a question, at a controller; false when there is no message, or nobody took the click. */
  click(question: KubeObject, url: string): Promise<boolean>
  stop(): Promise<void>
}

const methods = ['auth.test', 'users.info', 'chat.postMessage', 'chat.update', 'response_url']

export async function startSlack(): Promise<Slack> {
  const fake: FakeSlack = await startFakeSlack()
  fake.users.set(APPROVER, member(APPROVER, 'dana@example.com'))
  return {
    env: {
      SLUICE_SLACK_TOKEN: 'xoxb-of-no-importance',
      SLUICE_SLACK_CHANNEL: 'C0SHOP',
      SLUICE_SLACK_SIGNING_SECRET: SECRET,
      SLUICE_SLACK_API_URL: fake.apiUrl,
    },
    break(fault) {
      for (const method of methods) fake.broken.set(method, fault)
    },
    mend: () => fake.broken.clear(),
    async click(question, url) {
      const approval = readApproval(question)
      const value = approval && buttonOf(fake, approval.uid)
      if (!value) return false
      const payload = {
        type: 'block_actions',
        user: { id: APPROVER, team_id: 'T1' },
        team: { id: 'T1' },
        response_url: `${fake.origin}/hooks/1`,
        actions: [{ action_id: approveAction, value, action_ts: String(runtime.now() / 1_000) }],
      }
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
      const timestamp = Math.floor(runtime.now() / 1_000)
      return fetch(`${url}/slack/interactions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-slack-request-timestamp': String(timestamp),
          'x-slack-signature': signSlackRequest(SECRET, body, timestamp),
        },
        body,
        signal: AbortSignal.timeout(3_000),
      }).then(
        (response) => response.ok,
        () => false,
      )
    },
    stop: () => fake.stop(),
  }
}

/** What the newest message about a question carries in its button. */
function buttonOf(fake: FakeSlack, uid: string): string | undefined {
  return [...fake.messages.values()]
    .reverse()
    .flatMap(({ blocks }) => elementsOf(blocks))
    .find(({ action_id, value }) => action_id === approveAction && value?.includes(uid))?.value
}

function elementsOf(blocks: string | undefined): { action_id?: string; value?: string }[] {
  const parsed: unknown = blocks ? JSON.parse(blocks) : []
  return Array.isArray(parsed) ? parsed.flatMap((block: { elements?: [] }) => block.elements ?? []) : []
}
