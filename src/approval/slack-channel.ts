import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import { createDelivery, type DeliveryConfig } from '../notify/delivery.ts'
import { DeliveryFailed } from '../notify/delivery-failed.ts'
import type { SlackApi, SlackMessage, SlackPlace } from '../notify/slack-api.ts'
import { createSlackThreads, type SlackThreads } from '../notify/slack-threads.ts'
import type { Runtime } from '../runtime.ts'
import type { Approvals } from './approvals.ts'
import type { ApprovalChannel } from './channels.ts'
import { type Approval, isOpen, readApproval } from './object.ts'
import { renderPlainQuestion, renderQuestion } from './slack-message.ts'

export interface SlackChannelConfig extends Pick<DeliveryConfig, 'backoff' | 'onLost'> {
  api: Pick<SlackApi, 'post' | 'update'>
  approvals: Pick<Approvals, 'get' | 'rememberMessage'>
  /** Id or name of the channel that is asked; undefined: this question is not for Slack. */
  channelFor(approval: Approval): string | undefined
  /** The attempt of the rollout that asks, once it is known: its questions stand in its thread. */
  attemptOf?(approval: Approval): number | undefined
  threads?: SlackThreads
  runtime: Runtime
  log: Logger
}

interface Shown {
  place: SlackPlace
  hash: string
  /** Whether the Approval's status says so too. */
  recorded: boolean
}

/** There is nothing to ask any more. */
class Over extends Error {}

/** A question is shown as long as it is open, whatever takes its time; it ends by itself. */
const GIVE_UP_MS = 365 * 86_400_000

/** Questions that may wait; each is in memory anyway. */
const CAPACITY = 20_000

/** Longer than its parts: an attempt that is given up while it goes on could post twice. */
const ATTEMPT_MS = 30_000

/** The status that tells of the attempt is written just after the question is asked. */
const ATTEMPT_LOOKS = 20
const ATTEMPT_PAUSE_MS = 100

const fixes: Record<string, string> = {
  not_in_channel: 'invite the app to the channel',
  channel_not_found: 'check the id of the channel, and invite the app if it is private',
  is_archived: 'name another channel; this one is archived',
  missing_scope: 'give the app the scope chat:write and install it again',
  invalid_auth: 'put the present bot token into the Secret',
  not_authed: 'put the present bot token into the Secret',
  token_revoked: 'put the present bot token into the Secret',
  token_expired: 'put the present bot token into the Secret',
  account_inactive: 'the app is not installed any more; install it, and put its token into the Secret',
}

/**
 * One message per question, posted once and updated afterwards. Where the message is and what it says is kept in the Approval's status, so
 * that a restart goes on with the same one and sends nothing that stands there already. Tried until it works or the question is closed.
 */
export function createSlackChannel(config: SlackChannelConfig): ApprovalChannel {
  const { api, approvals, channelFor, attemptOf, runtime, log, threads = createSlackThreads({ log }), ...rest } = config
  const delivery = createDelivery({
    ...rest,
    runtime,
    log,
    name: 'slack approvals',
    capacity: CAPACITY,
    giveUpAfterMs: GIVE_UP_MS,
    attemptMs: ATTEMPT_MS,
  })
  const shown = new Map<string, Shown>()
  const complained = new Set<string>()

  function remember(uid: string, what: Shown): void {
    shown.delete(uid)
    const [oldest] = shown.keys()
    if (shown.size >= 1_000 && oldest !== undefined) shown.delete(oldest)
    shown.set(uid, what)
  }

  /** With the plain message where Slack finds something wrong with the blocks of the full one. */
  async function send<T>(approval: Approval, how: (message: SlackMessage) => Promise<T>): Promise<T> {
    try {
      return await how(renderQuestion(approval, runtime.now()))
    } catch (error) {
      const code = error instanceof DeliveryFailed ? error.code : undefined
      if (code !== 'invalid_blocks' && code !== 'msg_blocks_too_long' && code !== 'invalid_blocks_format') throw error
      log.error({ code, approval: `${approval.namespace}/${approval.name}` }, 'slack refuses the message of a question')
      return how(renderPlainQuestion(approval, runtime.now()))
    }
  }

  /** Posts the question as it stands by then; undefined when it is closed by then. */
  async function post(approval: Approval, channel: string): Promise<Shown | undefined> {
    const attempt = await knownAttempt(approval)
    const rollout = `${approval.namespace}/${approval.spec.rollout}`
    let hash = ''
    const say = async (ts?: string) => {
      const current = await approvals.get(approval)
      if (current === undefined || !isOpen(current, runtime.now())) throw new Over()
      hash = hashOf(renderQuestion(current, runtime.now()))
      return send(current, (message) =>
        api.post(channel, message, ts === undefined ? undefined : { ts, broadcast: true }),
      )
    }
    try {
      const place = attempt === undefined ? await say() : await threads.send({ rollout, attempt }, channel, say)
      return { place, hash, recorded: false }
    } catch (error) {
      if (error instanceof Over) return undefined
      if (!(error instanceof DeliveryFailed) || !error.permanent) throw error
      // Somebody has to do something, and then the question must come: people are waited for.
      const fix = fixes[error.code ?? ''] ?? 'see what Slack says about this error'
      if (!complained.has(`${channel} ${error.code}`))
        log.error({ channel, code: error.code, fix }, 'slack does not take questions')
      complained.add(`${channel} ${error.code}`)
      throw new DeliveryFailed(`${error.message}; ${fix}`, { permanent: false, code: error.code })
    }
  }

  async function knownAttempt(approval: Approval): Promise<number | undefined> {
    for (let look = 0; attemptOf !== undefined && look < ATTEMPT_LOOKS; look++) {
      const attempt = attemptOf(approval)
      if (attempt !== undefined) return attempt
      await runtime.sleep(ATTEMPT_PAUSE_MS)
    }
    return undefined
  }

  /** Updates the message. False when somebody has deleted it. */
  async function update(approval: Approval, place: SlackPlace): Promise<boolean> {
    try {
      await send(approval, (message) => api.update(place, message))
      return true
    } catch (error) {
      if (error instanceof DeliveryFailed && error.code === 'message_not_found') return false
      throw error
    }
  }

  /** Whether there is surely nothing to do. After a restart all of them come by, and what waits in a queue is in the way of what is new. */
  function isSaid(approval: Approval): boolean {
    const { slack } = approval.status
    if (shown.has(approval.uid)) return false
    if (slack === undefined) return !isOpen(approval, runtime.now())
    return slack.shown !== undefined && slack.shown === hashOf(renderQuestion(approval, runtime.now()))
  }

  async function deliver(approval: Approval): Promise<void> {
    const { uid } = approval
    const hash = hashOf(renderQuestion(approval, runtime.now()))
    const before = shown.get(uid)
    if (before?.hash === hash) return before.recorded ? undefined : record(approval, before)
    const open = isOpen(approval, runtime.now())
    let noted = approval.status.slack
    // The cache this came from may be older than the message: ask the API server before posting a second one.
    if (before === undefined && noted === undefined && open) noted = (await approvals.get(approval))?.status.slack
    if (before === undefined && noted?.shown === hash) return
    const place = before?.place ?? (noted && { channel: noted.channel, ts: noted.ts })
    if (place !== undefined && (await update(approval, place)))
      return record(approval, { place, hash, recorded: false })
    const channel = channelFor(approval)
    if (!open || channel === undefined) return
    const posted = await post(approval, channel)
    if (posted) await record(approval, posted)
  }

  async function record(approval: Approval, what: Shown): Promise<void> {
    remember(approval.uid, what)
    try {
      await approvals.rememberMessage(approval, { ...what.place, shown: what.hash })
      remember(approval.uid, { ...what, recorded: true })
    } catch (err) {
      log.warn({ err, approval: `${approval.namespace}/${approval.name}` }, 'could not record where the message is')
      throw new DeliveryFailed('the place of the message could not be recorded', { permanent: false })
    }
  }

  return {
    show(object) {
      const approval = readApproval(object)
      if (approval === undefined || isSaid(approval)) return
      delivery.submit({ key: approval.uid, deliver: () => deliver(approval) })
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

function hashOf(message: SlackMessage): string {
  return createHash('sha256').update(JSON.stringify(message)).digest('hex').slice(0, 16)
}
