import { z } from 'zod'
import type { SlackModal } from '../notify/slack-api.ts'
import { escapeSlack, fitSection, mrkdwn } from '../notify/slack-text.ts'
import type { Approval } from './object.ts'
import {
  actOf,
  actor,
  buttonTarget,
  type Malformed,
  malformed,
  parseJson,
  type SlackAct,
  type SlackClick,
  type Wish,
} from './slack-click.ts'

const rejectDialog = 'sluice_reject_dialog'
const laterDialog = 'sluice_later_dialog'
const field = 'sluice_field'

/** The longest reason that a decision holds. */
const REASON_LIMIT = 1_000

/** What a dialog carries until it is sent: the question, and where its message can be answered. At most 3,000 characters. */
const memo = z.object({ target: buttonTarget, responseUrl: z.string().max(2_000).optional() })

/** The dialog that asks for what a button alone cannot say: why not, or from when on. */
export function dialogFor(click: SlackClick & { wish: Exclude<Wish, 'Approve'> }, approval: Approval, now: number) {
  const { spec, namespace } = approval
  const what = `*${escapeSlack(`${namespace}/${spec.rollout}`)}*  ${spec.from} % → ${spec.to} %`
  const carried = { target: click.target, ...(click.responseUrl ? { responseUrl: click.responseUrl } : {}) }
  const shared = { type: 'modal', close: plain('Cancel'), private_metadata: JSON.stringify(carried) } as const
  if (click.wish === 'Reject') {
    return {
      ...shared,
      callback_id: rejectDialog,
      title: plain('Reject'),
      submit: plain('Reject'),
      blocks: [
        section(
          `${what}\nAll traffic goes back to the stable version, and this revision is not tried again by itself.`,
        ),
        {
          type: 'input',
          block_id: field,
          label: plain('Why?'),
          hint: plain('Everybody can read it: in the channel, in Git and in the events of the cluster.'),
          element: {
            type: 'plain_text_input',
            action_id: field,
            multiline: true,
            min_length: 1,
            max_length: REASON_LIMIT,
            focus_on_load: true,
          },
        },
      ],
    } satisfies SlackModal
  }
  return {
    ...shared,
    callback_id: laterDialog,
    title: plain('Approve for later'),
    submit: plain('Approve'),
    blocks: [
      section(
        `${what}\nThe move is made from this time on and not earlier, if the analysis is content then. It can be rejected until then.`,
      ),
      {
        type: 'input',
        block_id: field,
        label: plain('Not before'),
        hint: plain('In your time zone.'),
        element: { type: 'datetimepicker', action_id: field, initial_date_time: nextHour(now) },
      },
    ],
  } satisfies SlackModal
}

/** A dialog that was sent. */
export interface SlackSubmission extends SlackAct {
  wish: Exclude<Wish, 'Approve'>
  /** For Reject; trimmed, may be empty. */
  reason?: string
  /** For ApproveLater, epoch ms. */
  notBefore?: number
}

export type SubmissionReading = { kind: 'Submission'; submission: SlackSubmission } | { kind: 'Other' } | Malformed

const value = z.object({
  value: z.string().max(10_000).nullish(),
  selected_date_time: z.number().int().min(0).max(99_999_999_999).nullish(),
})

const sent = z.object({
  id: z.string().min(1).max(64),
  private_metadata: z.string().max(3_000),
  state: z.object({ values: z.record(z.string(), z.record(z.string(), value)) }),
})

const kind = z.object({ type: z.literal('view_submission'), view: z.object({ callback_id: z.string() }) })

/** Reads a dialog that was sent from the payload of an interaction. `Other`: it is none of ours. */
export function readSubmission(payload: unknown): SubmissionReading {
  const callback = kind.safeParse(payload)
  const id = callback.success ? callback.data.view.callback_id : ''
  if (id !== rejectDialog && id !== laterDialog) return { kind: 'Other' }
  const parsed = z.object({ ...actor.shape, view: sent }).safeParse(payload)
  if (!parsed.success) return malformed(z.prettifyError(parsed.error))
  const { view } = parsed.data
  const carried = memo.safeParse(parseJson(view.private_metadata))
  if (!carried.success) return malformed(`the dialog carries something else: ${z.prettifyError(carried.error)}`)
  const { target, responseUrl } = carried.data
  const given = view.state.values[field]?.[field]
  const seconds = given?.selected_date_time
  return {
    kind: 'Submission',
    submission: {
      ...actOf(parsed.data, target, view.id),
      ...(responseUrl === undefined ? {} : { responseUrl }),
      ...(id === rejectDialog
        ? { wish: 'Reject' as const, reason: (given?.value ?? '').trim().slice(0, REASON_LIMIT) }
        : { wish: 'ApproveLater' as const, ...(seconds ? { notBefore: seconds * 1000 } : {}) }),
    },
  }
}

/** An answer to a dialog that was sent: it stays open and shows `message`. See docs.slack.dev, "Modals". */
export function dialogError(message: string): object {
  return { response_action: 'errors', errors: { [field]: fitSection(message, 500) } }
}

function nextHour(now: number): number {
  return (Math.floor(now / 3_600_000) + 1) * 3_600
}

function plain(text: string) {
  return { type: 'plain_text' as const, text }
}

function section(text: string) {
  return { type: 'section' as const, text: mrkdwn(text) }
}
