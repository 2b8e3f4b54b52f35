import { z } from 'zod'
import type { Decision } from '../api/approval.ts'

export const approveAction = 'sluice_approve'
export const rejectAction = 'sluice_reject'

const target = z.object({
  ns: z.string().min(1).max(63),
  name: z.string().min(1).max(253),
  uid: z.string().min(1).max(64),
  digest: z.string().min(1).max(128),
})

/** The question a button belongs to: carried by the button, so that an old message can only speak of its own question. */
export type ButtonTarget = z.output<typeof target>

/** What a button of the message carries. Slack gives it back as it is, inside a signed request. */
export function buttonValue(value: ButtonTarget): string {
  return JSON.stringify(target.parse(value))
}

const interaction = z.object({
  type: z.string(),
  user: z.object({ id: z.string().regex(/^[A-Z0-9]{1,32}$/), team_id: z.string().max(32).nullish() }).optional(),
  team: z.object({ id: z.string().max(32) }).nullish(),
  response_url: z.string().max(2_000).optional(),
  actions: z
    .array(
      z.object({
        action_id: z.string(),
        value: z.string().max(2_000).optional(),
        action_ts: z.string().max(64).optional(),
      }),
    )
    .max(25)
    .optional(),
})

/** One click on one of our buttons. */
export interface SlackClick {
  verdict: Decision['verdict']
  target: ButtonTarget
  /** The person, and the workspace the person belongs to. */
  user: { id: string; teamId?: string }
  /** The workspace in which it was clicked. */
  teamId?: string
  /** The same for every delivery of the same click. */
  id: string
  /** Where the message can be answered for half an hour. */
  responseUrl?: string
}

export type ClickReading =
  | { kind: 'Click'; click: SlackClick }
  | { kind: 'Other' }
  | { kind: 'Malformed'; message: string }

/** Reads the payload of an interaction, from HTTP or from a socket. `Other`: nothing of ours was clicked. */
export function readClick(payload: unknown): ClickReading {
  const parsed = interaction.safeParse(payload)
  if (!parsed.success) return malformed(z.prettifyError(parsed.error))
  const { type, user, team, actions, response_url } = parsed.data
  const action = actions?.find(({ action_id }) => action_id === approveAction || action_id === rejectAction)
  if (type !== 'block_actions' || action === undefined) return { kind: 'Other' }
  if (user === undefined || action.action_ts === undefined) return malformed('user or action_ts is missing')
  const value = target.safeParse(parseJson(action.value ?? ''))
  if (!value.success) return malformed(`the button carries something else: ${z.prettifyError(value.error)}`)
  return {
    kind: 'Click',
    click: {
      verdict: action.action_id === approveAction ? 'Approve' : 'Reject',
      target: value.data,
      user: { id: user.id, ...(user.team_id ? { teamId: user.team_id } : {}) },
      ...(team ? { teamId: team.id } : {}),
      id: `slack ${team?.id ?? ''} ${user.id} ${action.action_ts} ${value.data.uid}`,
      ...(response_url === undefined ? {} : { responseUrl: response_url }),
    },
  }
}

function malformed(message: string): ClickReading {
  return { kind: 'Malformed', message: message.slice(0, 500) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
