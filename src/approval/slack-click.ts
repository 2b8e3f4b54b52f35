import { z } from 'zod'

export const approveAction = 'sluice_approve'
export const rejectAction = 'sluice_reject'
export const laterAction = 'sluice_approve_later'

/** What the buttons ask for. */
export type Wish = 'Approve' | 'Reject' | 'ApproveLater'

const wishes: Record<string, Wish> = {
  [approveAction]: 'Approve',
  [rejectAction]: 'Reject',
  [laterAction]: 'ApproveLater',
}

export const buttonTarget = z.object({
  ns: z.string().min(1).max(63),
  name: z.string().min(1).max(253),
  uid: z.string().min(1).max(64),
  digest: z.string().min(1).max(128),
})

/** The question a button belongs to: carried by the button, so that an old message can only speak of its own question. */
export type ButtonTarget = z.output<typeof buttonTarget>

/** What a button of the message carries. Slack gives it back as it is, inside a signed request. */
export function buttonValue(value: ButtonTarget): string {
  return JSON.stringify(buttonTarget.parse(value))
}

/** Who did it, and where: the same in every interaction. */
export const actor = z.object({
  user: z.object({ id: z.string().regex(/^[A-Z0-9]{1,32}$/), team_id: z.string().max(32).nullish() }),
  /** Null where the app is installed in an organisation. */
  team: z.object({ id: z.string().max(32) }).nullish(),
})

const interaction = z.object({
  type: z.string(),
  trigger_id: z.string().max(256).optional(),
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

/** What somebody did about one question. */
export interface SlackAct {
  wish: Wish
  target: ButtonTarget
  /** The person, and the workspace the person belongs to. */
  user: { id: string; teamId?: string }
  /** The workspace in which it happened. */
  teamId?: string
  /** The same for every delivery of the same act. */
  id: string
  /** Where the message can be answered for half an hour. */
  responseUrl?: string
}

/** One click on one of our buttons. */
export interface SlackClick extends SlackAct {
  /** Opens one dialog, for three seconds. */
  triggerId?: string
}

export interface Malformed {
  kind: 'Malformed'
  message: string
}

/** `Other`: nothing of ours was clicked. */
export type ClickReading = { kind: 'Click'; click: SlackClick } | { kind: 'Other' } | Malformed

/** Reads a click from the payload of an interaction, from HTTP or from a socket. */
export function readClick(payload: unknown): ClickReading {
  const parsed = interaction.safeParse(payload)
  if (!parsed.success) return malformed(z.prettifyError(parsed.error))
  const { type, actions, response_url: responseUrl, trigger_id: triggerId } = parsed.data
  const action = actions?.find(({ action_id }) => wishes[action_id] !== undefined)
  const wish = wishes[action?.action_id ?? '']
  if (type !== 'block_actions' || action === undefined || wish === undefined) return { kind: 'Other' }
  const who = actor.safeParse(payload)
  if (!who.success) return malformed(z.prettifyError(who.error))
  if (action.action_ts === undefined) return malformed('action_ts is missing')
  const value = buttonTarget.safeParse(parseJson(action.value ?? ''))
  if (!value.success) return malformed(`the button carries something else: ${z.prettifyError(value.error)}`)
  return {
    kind: 'Click',
    click: {
      ...actOf(who.data, value.data, action.action_ts),
      wish,
      ...(responseUrl === undefined ? {} : { responseUrl }),
      ...(triggerId === undefined ? {} : { triggerId }),
    },
  }
}

/** What every act has; `moment` is the same for every delivery of it, and of no other act of this person. */
export function actOf(
  { user, team }: z.output<typeof actor>,
  target: ButtonTarget,
  moment: string,
): Omit<SlackAct, 'wish'> {
  return {
    target,
    user: { id: user.id, ...(user.team_id ? { teamId: user.team_id } : {}) },
    ...(team ? { teamId: team.id } : {}),
    id: `slack ${team?.id ?? ''} ${user.id} ${moment} ${target.uid}`.slice(0, 256),
  }
}

export function malformed(message: string): Malformed {
  return { kind: 'Malformed', message: message.slice(0, 500) }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
