import type { Logger } from 'pino'
import type { Decision } from '../api/approval.ts'
import type { SlackApi } from '../notify/slack-api.ts'
import { escapeSlack } from '../notify/slack-text.ts'
import type { Runtime } from '../runtime.ts'
import type { Approvals, DecisionResult } from './approvals.ts'
import { type Approval, isOpen, rule } from './object.ts'
import { displayName, isAllowed } from './person.ts'
import { type ClickReading, readClick, type SlackAct, type SlackClick } from './slack-click.ts'
import { dialogError, dialogFor, readSubmission, type SlackSubmission } from './slack-dialog.ts'
import { renderQuestion } from './slack-message.ts'
import type { SlackPeople, Vouching } from './slack-people.ts'
import type { SlackReply } from './slack-reply.ts'

/** What an interaction came to. Only `Recorded` changed anything. */
export type SlackResult =
  | DecisionResult['kind']
  /** The person was asked for a reason or a time. */
  | 'Asked'
  /** The person is unknown, a guest, a bot, a stranger, or could not be looked up. */
  | 'NotIdentified'
  /** What was entered in a dialog cannot be. */
  | 'Invalid'
  /** The API server, or Slack for a dialog, could not be asked; the person is told to try again. */
  | 'Failed'
  | Exclude<ClickReading['kind'], 'Click'>

export interface SlackOutcome {
  result: SlackResult
  /** What Slack is to be answered; without it, nothing but that it arrived. */
  answer?: object
}

export interface SlackInteractions {
  /**
   * Takes an interaction whose origin has been proved (a signature, an authenticated socket), counts the decision or
   * refuses it with a word to the person, and logs which. Never throws. Once `late` is aborted nobody listens to the answer any more,
   * and a dialog that is gone cannot say why: then the person is told in the channel, in a message only they see.
   */
  handle(payload: unknown, late?: AbortSignal): Promise<SlackOutcome>
}

export interface SlackInteractionsConfig {
  approvals: Pick<Approvals, 'get' | 'add'>
  people: SlackPeople
  reply: SlackReply
  /** Opens dialogs. Without it, Reject rejects at once and without a reason, and nothing can be approved for later. */
  api?: Pick<SlackApi, 'openModal'>
  runtime: Pick<Runtime, 'now' | 'sleep'>
  log: Logger
  /** Told about every interaction, for metrics. */
  onResult?: (result: SlackResult) => void
}

/** Slack forgets whom a dialog is for after three seconds: who may not decide is told before only if Slack says so soon. */
const LOOK_MS = 1_200

/** An approval for later than this is more likely a slip of the finger. */
const FARTHEST_MS = 90 * 86_400_000

export function createSlackInteractions(config: SlackInteractionsConfig): SlackInteractions {
  const { approvals, people, reply, api, runtime, log, onResult } = config

  function note(act: SlackAct, result: SlackResult, why: string): void {
    const facts = { approval: `${act.target.ns}/${act.target.name}`, user: act.user.id, team: act.teamId }
    log.warn({ ...facts, wish: act.wish, result, why }, 'slack decision refused')
  }

  /** Says no to the person, in a message only they see. */
  function refuse(act: SlackAct, result: SlackResult, message: string): SlackOutcome {
    note(act, result, message)
    reply.whisper(act.responseUrl, escapeSlack(message))
    return { result }
  }

  /** Says no in the dialog, which stays open. */
  function object(act: SlackSubmission, result: SlackResult, message: string, late?: AbortSignal): SlackOutcome {
    if (late?.aborted) return refuse(act, result, message)
    note(act, result, message)
    return { result, answer: dialogError(message) }
  }

  /** The question, or why it cannot be decided. A message of ours that still has buttons loses them. */
  async function find(act: SlackAct): Promise<{ approval: Approval } | { closed: string }> {
    const { ns, name, uid, digest } = act.target
    const approval = await approvals.get({ namespace: ns, name })
    // Clusters that share an app hear of each other's clicks: such a message is not ours to change.
    if (approval === undefined) {
      return { closed: 'This question is not known here: it is closed, or another cluster asks it; nothing was done' }
    }
    if (approval.uid !== uid || approval.spec.digest !== digest) {
      reply.replace(act.responseUrl, { text: 'This question is closed.', blocks: [] })
      return { closed: 'This question is closed; nothing was done' }
    }
    if (isOpen(approval, runtime.now())) return { approval }
    reply.replace(act.responseUrl, renderQuestion(approval, runtime.now()))
    return { closed: `This question is closed; nothing was done. ${rule(approval, runtime.now()).message}` }
  }

  function look(act: SlackAct, { spec }: Approval): Promise<Vouching> {
    return people.vouch(act, [...spec.allowed, ...(spec.requiredFrom ?? [])])
  }

  /** Adds the decision of somebody who is known. */
  async function record(
    act: SlackAct,
    { speaker, unread }: Extract<Vouching, { ok: true }>,
    said: Pick<Decision, 'verdict' | 'reason' | 'notBefore'>,
  ): Promise<{ kind: DecisionResult['kind']; message: string }> {
    const { ns, name, uid, digest } = act.target
    const at = new Date(runtime.now()).toISOString()
    const decision: Decision = { ...said, ...speaker, digest, at, id: act.id }
    const result = await approvals.add({ namespace: ns, name, uid }, decision)
    if (result.kind === 'Recorded') {
      const facts = { approval: `${ns}/${name}`, user: act.user.id, email: speaker.email, ...said }
      log.info({ ...facts, result: result.message }, 'slack decision recorded')
      // With a token the message is kept up to date anyway, in the order of what happens.
      if (api === undefined) reply.replace(act.responseUrl, renderQuestion(result.approval, runtime.now()))
    }
    if (result.kind === 'Closed' && result.approval && !isOpen(result.approval, runtime.now()))
      reply.replace(act.responseUrl, renderQuestion(result.approval, runtime.now()))
    const doubt = unread.length > 0 ? `; Slack did not say who is in ${unread.join(', ')}, try again in a minute` : ''
    const message = result.kind === 'NotAllowed' ? `You may not decide this: ${result.message}${doubt}` : result.message
    return { kind: result.kind, message }
  }

  async function clicked(click: SlackClick): Promise<SlackOutcome> {
    const found = await find(click)
    if ('closed' in found) return refuse(click, 'Closed', found.closed)
    const { approval } = found
    const { wish } = click
    if (wish !== 'Approve' && api !== undefined) return ask(api, { ...click, wish }, approval)
    if (wish === 'ApproveLater') return refuse(click, 'Failed', 'This controller cannot open dialogs; nothing was done')
    const vouching = await look(click, approval)
    if (!vouching.ok) return refuse(click, 'NotIdentified', vouching.why)
    const { kind, message } = await record(click, vouching, { verdict: wish })
    return kind === 'Recorded' ? { result: kind } : refuse(click, kind, message)
  }

  /** Opens the dialog, unless it is known at once that this person may not decide. */
  async function ask(
    { openModal }: Pick<SlackApi, 'openModal'>,
    click: Parameters<typeof dialogFor>[0],
    approval: Approval,
  ): Promise<SlackOutcome> {
    const known = new AbortController()
    const waited = runtime.sleep(LOOK_MS, known.signal).then(
      () => undefined,
      () => undefined,
    )
    const vouching = await Promise.race([look(click, approval), waited]).finally(() => known.abort())
    if (vouching?.ok === false) return refuse(click, 'NotIdentified', vouching.why)
    const { allowed } = approval.spec
    if (vouching?.ok && vouching.unread.length === 0 && !isAllowed(allowed, vouching.speaker)) {
      const who = displayName(vouching.speaker)
      return refuse(click, 'NotAllowed', `You may not decide this: ${who} is not named in approval.from`)
    }
    try {
      await openModal(click.triggerId ?? '', dialogFor(click, approval, runtime.now()))
      return { result: 'Asked' }
    } catch (err) {
      log.warn({ err, approval: `${approval.namespace}/${approval.name}` }, 'slack dialog not opened')
      const verb = click.wish === 'Reject' ? 'sluice reject' : 'sluice approve'
      return refuse(click, 'Failed', `Slack did not open the dialog; nothing was done. Click again, or use ${verb}`)
    }
  }

  async function submitted(act: SlackSubmission, late?: AbortSignal): Promise<SlackOutcome> {
    const found = await find(act)
    if ('closed' in found) return object(act, 'Closed', found.closed, late)
    const problem = problemOf(act, runtime.now())
    if (problem !== undefined) return object(act, 'Invalid', problem, late)
    const vouching = await look(act, found.approval)
    if (!vouching.ok) return object(act, 'NotIdentified', vouching.why, late)
    const said =
      act.wish === 'Reject'
        ? { verdict: 'Reject' as const, reason: act.reason }
        : { verdict: 'Approve' as const, notBefore: new Date(act.notBefore ?? 0).toISOString() }
    const { kind, message } = await record(act, vouching, said)
    if (kind === 'Recorded') return { result: kind }
    // It was said already: there is nothing left to correct in the dialog.
    return kind === 'Duplicate' ? refuse(act, kind, message) : object(act, kind, message, late)
  }

  async function handle(payload: unknown, late?: AbortSignal): Promise<SlackOutcome> {
    const sent = readSubmission(payload)
    const reading = sent.kind === 'Other' ? readClick(payload) : sent
    if (reading.kind === 'Malformed') log.warn({ why: reading.message }, 'slack interaction cannot be understood')
    if (reading.kind === 'Malformed' || reading.kind === 'Other') return { result: reading.kind }
    const act = reading.kind === 'Click' ? reading.click : reading.submission
    try {
      return await (reading.kind === 'Click' ? clicked(reading.click) : submitted(reading.submission, late))
    } catch (err) {
      log.error({ err, approval: `${act.target.ns}/${act.target.name}` }, 'slack decision failed')
      const message = 'The cluster could not be asked, so nothing is known to be done; look again, or try once more'
      return reading.kind === 'Click'
        ? refuse(act, 'Failed', message)
        : object(reading.submission, 'Failed', message, late)
    }
  }

  return {
    async handle(payload, late) {
      const outcome = await handle(payload, late)
      onResult?.(outcome.result)
      return outcome
    },
  }
}

function problemOf(act: SlackSubmission, now: number): string | undefined {
  if (act.wish === 'Reject') return act.reason ? undefined : 'Say why; people will want to know'
  const { notBefore } = act
  if (notBefore === undefined) return 'Choose a time'
  if (notBefore <= now) return 'This time is over; choose a later one, or approve at once with the button Approve'
  return notBefore - now > FARTHEST_MS ? 'This is more than 90 days away; choose an earlier time' : undefined
}
