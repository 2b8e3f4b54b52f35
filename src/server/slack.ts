import type { Logger } from 'pino'
import { answerInTime } from '../approval/slack-answer.ts'
import type { SlackInteractions } from '../approval/slack-interactions.ts'
import { createReplayGuard, type ReplayGuard, verifySlackRequest } from '../approval/slack-signature.ts'
import type { Runtime } from '../runtime.ts'
import type { Endpoint, EndpointAnswer } from './endpoint.ts'

export interface SlackEndpointConfig {
  /** Signing secrets of the Slack app: one, or the old and the new one while it is being rotated. */
  secrets: readonly string[]
  interactions: SlackInteractions
  runtime: Runtime
  log: Logger
  guard?: ReplayGuard
  /** Slack wants an answer within 3 s; work that takes longer goes on after it. Default 2.5 s. */
  answerWithinMs?: number
}

export interface SlackEndpoint extends Endpoint {
  /** Resolves when no click is being worked on. */
  settled(): Promise<void>
}

const refusals = {
  missing: 'the request is not signed; only Slack may call this',
  old: 'the timestamp of the request is more than five minutes off',
  wrong: 'the signature is wrong; check the signing secret',
} as const

/**
 * POST /slack/interactions: clicks on the buttons of approval messages, and dialogs that are sent. Lets in what Slack signed, lately,
 * and once. Every refusal is logged and moves nothing. What becomes of a click is told in the message; the answer is for dialogs only.
 */
export function slackEndpoint(config: SlackEndpointConfig): SlackEndpoint {
  const { secrets, interactions, runtime, log, guard = createReplayGuard(), answerWithinMs = 2_500 } = config
  const working = new Set<Promise<unknown>>()

  function refuse(status: EndpointAnswer['status'], why: string): EndpointAnswer {
    log.warn({ why, status }, 'slack request refused')
    return { status, json: { error: why } }
  }

  return {
    path: '/slack/interactions',

    async handle({ body, header }) {
      const signed = { body, timestamp: header('x-slack-request-timestamp'), signature: header('x-slack-signature') }
      const check = verifySlackRequest(secrets, signed, runtime.now())
      if (!check.ok) return refuse(401, refusals[check.why])
      if (!guard.admit(check.seal, runtime.now())) return refuse(409, 'this request was received before')
      const text = new URLSearchParams(body.toString('utf8')).get('payload')
      const payload = parseJson(text)
      if (payload === undefined) return refuse(400, 'the body has no JSON in its field payload')
      const { answer, work } = answerInTime(interactions, payload, runtime, answerWithinMs)
      working.add(work)
      void work.finally(() => working.delete(work)).catch(() => undefined)
      const json = await answer
      return json === undefined ? { status: 200 } : { status: 200, json }
    },

    async settled() {
      await Promise.allSettled(working)
    },
  }
}

function parseJson(text: string | null): unknown {
  if (text === null) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
