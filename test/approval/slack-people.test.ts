import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createSlackPeople, type SlackPeople } from '../../src/approval/slack-people.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type FakeSlack, member, startFakeSlack } from './fake-slack.ts'
import { readableLog } from './questions.ts'

let slack: FakeSlack
let at = 0
let people: SlackPeople

const allowed = ['slack-group:S1', 'slack-group:S2', 'user:dana@example.com']
const dana = { user: { id: 'U1', teamId: 'T1' }, teamId: 'T1' }
const groups = async () => {
  const vouching = await people.vouch(dana, allowed)
  return vouching.ok ? vouching.speaker.groups : vouching.why
}

beforeAll(async () => {
  slack = await startFakeSlack()
})
afterAll(() => slack.stop())
beforeEach(() => {
  slack.users.clear()
  slack.groups.clear()
  slack.broken.clear()
  slack.calls.length = 0
  slack.teams.length = 0
  slack.users.set('U1', member('U1', 'dana@example.com'))
  slack.groups.set('S1', ['U1'])
  slack.groups.set('S2', [])
  const api = createSlackApi({ token: 'xoxb-1', log: readableLog().log, apiUrl: slack.apiUrl, now: () => 0 })
  people = createSlackPeople({ api, runtime: { ...systemRuntime, monotonic: () => at } })
})

describe('what Slack says is believed for a minute', () => {
  test('and asked once for all who click meanwhile', async () => {
    await Promise.all([groups(), groups(), groups()])
    at += 59_000
    expect(await groups()).toEqual(['S1'])
    expect(slack.calls.map(({ method }) => method).sort()).toEqual([
      'auth.test',
      'usergroups.users.list',
      'usergroups.users.list',
      'users.info',
    ])
  })

  test('who has left a group is in it no more', async () => {
    expect(await groups()).toEqual(['S1'])
    slack.groups.set('S1', [])
    at += 60_000
    expect(await groups()).toEqual([])
  })

  test('whose account was deactivated decides no more', async () => {
    await groups()
    slack.users.set('U1', member('U1', 'dana@example.com', { deleted: true }))
    at += 60_000
    expect(await groups()).toBe('this account is deactivated')
  })

  test('a failure is not remembered', async () => {
    slack.broken.set('users.info', { error: 'internal_error' })
    expect(await groups()).toContain('Slack did not say who you are')
    slack.broken.clear()
    expect(await groups()).toEqual(['S1'])
  })
})

test('a group that cannot be read has no members, and is named', async () => {
  slack.groups.delete('S1')
  expect(await people.vouch(dana, allowed)).toMatchObject({ ok: true, speaker: { groups: [] }, unread: ['S1'] })
})

test('only groups that matter are read', async () => {
  await people.vouch(dana, ['user:dana@example.com'])
  expect(slack.calls.map(({ method }) => method)).not.toContain('usergroups.users.list')
})

describe('in an organisation of several workspaces', () => {
  const inOrganisation = (teamId: string, enterpriseId: string) =>
    slack.users.set(
      'U1',
      member('U1', 'dana@example.com', { team_id: teamId, enterprise_user: { enterprise_id: enterpriseId } }),
    )

  beforeEach(() => slack.teams.push({ team_id: 'T1', enterprise_id: 'E1' }))

  test('members of another workspace of it may decide', async () => {
    inOrganisation('T2', 'E1')
    expect(await groups()).toEqual(['S1'])
  })

  test('members of another organisation may not', async () => {
    inOrganisation('T2', 'E2')
    expect(await groups()).toBe('only members of this workspace can decide')
  })
})

test.each([
  ['without a workspace', { team_id: undefined }, 'only members of this workspace can decide'],
  ['of a connected channel', { is_stranger: true }, 'only members of this workspace can decide'],
  ['who is invited only', { is_invited_user: true }, 'guests of the workspace cannot decide'],
  ['that is a workflow', { is_workflow_bot: true }, 'bots cannot decide'],
  ['that is another person', { id: 'U2' }, 'only members of this workspace can decide'],
])('somebody %s does not decide', async (_, over, why) => {
  slack.users.set('U1', member('U1', 'dana@example.com', over))
  expect(await groups()).toBe(why)
})

test.each([undefined, '', 'not an address', 'a@b <c@d>'])('%s is no address to be known by', async (email) => {
  slack.users.set('U1', member('U1', email))
  const vouching = await people.vouch(dana, allowed)
  expect(vouching).toMatchObject({ ok: true, speaker: { by: 'slack-user:U1' } })
  expect(vouching).not.toHaveProperty('speaker.email')
})
