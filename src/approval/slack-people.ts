import type { SlackApi, SlackUser } from '../notify/slack-api.ts'
import type { Runtime } from '../runtime.ts'
import { emailOf, type Speaker, slackGroupsIn } from './person.ts'
import type { SlackAct } from './slack-click.ts'

/** What Slack vouches for about the person who clicked. */
export type Vouching =
  | {
      ok: true
      speaker: Speaker /** Groups whose members could not be read; the person is not taken for one. */
      unread: string[]
    }
  | { ok: false; why: string }

export interface SlackPeople {
  /** Identifies a person. Fails closed: whoever cannot be looked up may not decide. `allowed` says which groups matter. */
  vouch(click: Pick<SlackAct, 'user' | 'teamId'>, allowed: readonly string[]): Promise<Vouching>
}

export interface SlackPeopleConfig {
  /** Without it there are no addresses and no groups: only `slack-user:` entries can match. */
  api?: Pick<SlackApi, 'user' | 'groupMembers' | 'home'>
  runtime: Pick<Runtime, 'monotonic'>
  /** How long an answer of Slack is believed, ms. Default one minute. */
  cacheMs?: number
}

export function createSlackPeople({ api, runtime, cacheMs = 60_000 }: SlackPeopleConfig): SlackPeople {
  const users = cached((id) => required(api).user(id), runtime, cacheMs)
  const groups = cached((id) => required(api).groupMembers(id), runtime, cacheMs)
  const home = cached(() => required(api).home(), runtime, 3_600_000)

  return {
    async vouch({ user, teamId }, allowed) {
      const by = `slack-user:${user.id}`
      if (api === undefined) {
        if (user.teamId !== undefined && teamId !== undefined && user.teamId !== teamId) return refuse('stranger')
        return { ok: true, speaker: { by, via: 'slack' }, unread: [] }
      }
      const wanted = [...new Set(slackGroupsIn(allowed))].slice(0, 20)
      const [profile, own, members] = await Promise.all([
        attempt(users(user.id)),
        attempt(home('')),
        Promise.all(wanted.map((id) => attempt(groups(id)))),
      ])
      if (!profile.ok || !own.ok) {
        return { ok: false, why: 'Slack did not say who you are, so nothing was done; try again in a minute' }
      }
      const { value: person } = profile
      if (person.outsider) return refuse(person.outsider)
      const sameTeam = person.teamId !== undefined && person.teamId === own.value.teamId
      const sameOrganisation = person.enterpriseId !== undefined && person.enterpriseId === own.value.enterpriseId
      if (person.id !== user.id || (!sameTeam && !sameOrganisation)) return refuse('stranger')
      const speaker: Speaker = {
        by,
        via: 'slack',
        groups: wanted.filter((_, i) => isMember(members[i], user.id)),
        ...(person.email === undefined ? {} : { email: person.email }),
      }
      // What does not look like an address is no identity; it must not get into a record either.
      if (emailOf(speaker) === undefined) delete speaker.email
      return { ok: true, speaker, unread: wanted.filter((_, i) => members[i]?.ok !== true) }
    },
  }
}

const reasons: Record<NonNullable<SlackUser['outsider']>, string> = {
  guest: 'guests of the workspace cannot decide',
  bot: 'bots cannot decide',
  deactivated: 'this account is deactivated',
  stranger: 'only members of this workspace can decide',
}

function refuse(outsider: NonNullable<SlackUser['outsider']>): Vouching {
  return { ok: false, why: reasons[outsider] }
}

type Attempt<T> = { ok: true; value: T } | { ok: false }

function attempt<T>(promise: Promise<T>): Promise<Attempt<T>> {
  return promise.then(
    (value) => ({ ok: true as const, value }),
    () => ({ ok: false as const }),
  )
}

function isMember(members: Attempt<string[]> | undefined, id: string): boolean {
  return members?.ok === true && members.value.includes(id)
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('Slack is not configured')
  return value
}

/** Remembers answers, not failures; questions asked at once share one answer. */
function cached<T>(
  load: (id: string) => Promise<T>,
  runtime: Pick<Runtime, 'monotonic'>,
  maxAgeMs: number,
): (id: string) => Promise<T> {
  const known = new Map<string, { at: number; answer: Promise<T> }>()
  return (id) => {
    const now = runtime.monotonic()
    const hit = known.get(id)
    if (hit && now - hit.at < maxAgeMs) return hit.answer
    const answer = load(id)
    known.delete(id)
    const [oldest] = known.keys()
    if (known.size >= 1_000 && oldest !== undefined) known.delete(oldest)
    known.set(id, { at: now, answer })
    answer.catch(() => {
      if (known.get(id)?.answer === answer) known.delete(id)
    })
    return answer
  }
}
