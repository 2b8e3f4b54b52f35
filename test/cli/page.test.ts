import { describe, expect, test } from 'vitest'
import type { ApprovalSpec, Decision } from '../../src/api/approval.ts'
import { phases, type RolloutStatus } from '../../src/api/status.ts'
import { readApproval } from '../../src/approval/object.ts'
import { page } from '../../src/cli/page/page.ts'
import { palette } from '../../src/cli/paint.ts'
import { rolloutTable } from '../../src/cli/rollout-table.ts'
import { readRollout } from '../../src/cli/rollouts.ts'
import { displayWidth } from '../../src/cli/width.ts'
import { ago, approval, now, rollout, statuses } from './fixtures.ts'

const plain = palette(false)

function draw(
  status: RolloutStatus | undefined,
  options: { width?: number; questions?: boolean; asked?: Partial<ApprovalSpec> } = {},
): string[] {
  const object = approval({ expiresAt: ago(-3600), ...options.asked })
  const asked = readApproval({ ...object, metadata: { ...object.metadata, uid: 'uid-1', resourceVersion: '1' } })
  return page({
    rollout: readRollout(rollout('checkout', status)),
    questions: options.questions && asked ? [asked] : [],
    events: [
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace: 'shop', name: 'checkout.1' },
        reason: 'WeightSet',
        message: '0% → 10%',
        lastTimestamp: ago(290),
        count: 2,
      },
    ],
    now,
    colours: plain,
    width: options.width ?? 80,
    command: (verb) => `sluice ${verb} shop/checkout --kubeconfig /home/somebody/.kube/production-cluster.yaml`,
  })
}

describe.each(phases)('%s', (phase) => {
  test('the page says phase and message first and fits every width', () => {
    for (const width of [40, 60, 80, 100]) {
      const lines = draw(statuses[phase], { width, questions: phase === 'AwaitingApproval' })
      expect(lines[0]).toBe('shop/checkout')
      expect(lines[1]).toContain(phase)
      expect(lines[2]).toContain(statuses[phase].message?.slice(0, 20))
      for (const line of lines) expect(displayWidth(line), line).toBeLessThanOrEqual(width)
    }
  })

  test('the row of the table shows the phase at 80 columns', () => {
    const lines = rolloutTable([readRollout(rollout('checkout', statuses[phase]))], {
      now,
      colours: plain,
      namespaces: false,
      wide: false,
      width: 80,
    })
    expect(lines[1]).toMatch(new RegExp(`^checkout +${phase}`))
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(80)
  })
})

test('shows where it stands, how long still, and what comes', () => {
  const text = draw(statuses.Progressing).join('\n')
  expect(text).toContain('▶ 1    10%  10s left of 5m')
  expect(text).toContain('· 2    50%  hold 10m, after approval by 2 of user:dana@example.com,')
  expect(text).toContain('10% canary, 90% stable')
})

test('the clock of a paused hold stands', () => {
  expect(draw(statuses.Paused).join('\n')).toContain('3m left of 5m (its clock stands)')
})

test('shows how far the evidence is towards a breach, and that it is one', () => {
  const text = draw(statuses.Progressing).join('\n')
  // log10(2 ratio SLIs / alpha 0.01) = 2.301; 1.15 of it is 49 %.
  expect(text).toContain('49% towards a breach')
  expect(text).toContain('12,345 good, 3 bad; 2,345 of at least 100 requests in this step')
  expect(text).toContain('NoData for 2m queue-depth')
  expect(draw(statuses.RolledBack).join('\n')).toMatch(/█{20} {2}breach/)
})

test('shows the open question and the very command that answers it', () => {
  const lines = draw(statuses.AwaitingApproval, { questions: true })
  const text = lines.join('\n')
  expect(text).toContain('10% → 50% of the traffic to v2-b7730d18aa (step 2 of 3)')
  expect(text).toContain('0 of 2 said yes; open for 60m, then it is rejected')
  // Over two lines, as a shell reads them.
  expect(text).toMatch(/sluice approve shop\/checkout --kubeconfig \\\n +\/home\/somebody/)
})

describe('windows', () => {
  const window = (rest: object) => ({
    ...statuses.Progressing,
    window: { open: false, at: ago(10), generation: 1, ...rest },
  })
  const text = (status: RolloutStatus) => draw(status, { width: 100 }).join(' ').replaceAll(/\s+/g, ' ')

  test('a closed one says why and when it opens, whatever else is waited for', () => {
    const said = text(window({ reason: 'a deny window (0 0 20 12 * for 14d, UTC) is open', opensAt: ago(-7200) }))
    expect(said).toContain('Window closed: a deny window (0 0 20 12 * for 14d, UTC) is open, until ')
    expect(said).toContain('(in 2h)')
  })

  test('one that does not open again as far as anybody can see says so by saying no time', () => {
    expect(text(window({ reason: 'a deny window is open' }))).toContain('Window closed: a deny window is open ')
  })
})

describe('the open question', () => {
  const said = (over: Partial<Decision>): Decision => ({
    verdict: 'Approve',
    by: 'user:dana@example.com',
    via: 'kubernetes',
    digest: 'd1',
    at: ago(60),
    ...over,
  })
  const change = {
    from: { revision: 'v1-a', image: 'registry.example.com/shop/checkout:1.9.3' },
    to: { revision: 'v2-b', image: 'registry.example.com/shop/checkout:2.0.0' },
    author: 'Sam <sam@example.com>',
    compareUrl: `https://git.example.com/shop/config/compare/${'a'.repeat(40)}...${'b'.repeat(40)}`,
    commits: Array.from({ length: 7 }, (_, i) => ({ sha: `${i}`.repeat(40), subject: `commit ${i}`, author: 'Sam' })),
    commitCount: 12,
  }
  const ask = (asked: Partial<ApprovalSpec>, width = 100) =>
    draw(statuses.AwaitingApproval, { questions: true, width, asked }).join('\n').replace(/\s+/g, ' ')

  test('shows what would change, in lines that fit', () => {
    expect(ask({ change })).toContain(
      'image registry.example.com/shop/checkout:1.9.3 → registry.example.com/shop/checkout:2.0.0 brought by Sam',
    )
    expect(ask({ change })).toContain('44444444 commit 4 (Sam) and 7 more commits')
    for (const width of [40, 60, 80]) {
      const lines = draw(statuses.AwaitingApproval, { questions: true, width, asked: { change } })
      for (const line of lines) expect(displayWidth(line), line).toBeLessThanOrEqual(width)
    }
  })

  test('shows who has to be among the approvers, and who is missing still', () => {
    const text = ask({ requiredFrom: ['group:release'], required: 1, decisions: [said({})] })
    expect(text).toContain('among them: group:release')
    expect(text).toContain('still missing: group:release has to be among them')
  })

  test('shows from when an approved move may be made', () => {
    const text = ask({ required: 1, decisions: [said({ notBefore: ago(-5400) })] })
    expect(text).toContain(
      `1 of 1 said yes (user:dana@example.com) approved for later: not before ${ago(-5400)}, in 90m`,
    )
  })

  test('shows that it was overridden, by whom and why', () => {
    const text = ask({
      required: 2,
      decisions: [said({ by: 'user:emma', override: true, reason: 'the site is down' })],
    })
    expect(text).toContain('overridden by user:emma: the site is down')
  })
})

test('shows what is not in Git yet, and why', () => {
  const text = draw(statuses.RolledBack).join(' ').replace(/\s+/g, ' ')
  expect(text).toContain('1 commit to make')
  expect(text).toContain('because https://git.example.com/shop/config.git cannot be reached: connection refused')
  expect(text).toContain('Known bad 2h v2-b7730d18aa')
  expect(text).toContain('sluice retry shop/checkout')
})

test('a Rollout that no controller has seen says so', () => {
  expect(draw(undefined).join('\n')).toContain('No controller has looked at it yet')
})

test('a status that is older than the spec says so', () => {
  const lines = draw({ ...statuses.Healthy, observedGeneration: 0 })
  expect(lines.join('\n')).toContain('has not seen the newest spec yet (generation 1, seen 0)')
})

test('a status that a later version wrote is shown as far as it is understood', () => {
  const object = {
    ...rollout('checkout'),
    status: { ...statuses.Healthy, analysis: 'moved elsewhere', phase: 'Healthy' },
  }
  expect(readRollout(object).status).toMatchObject({ phase: 'Healthy', stable: { revision: 'v1-4f2a90c1de' } })
})

test('escape sequences in a message do not reach the screen', () => {
  const text = draw({ ...statuses.Healthy, message: 'all good\u001b[2J\u001b[H really' }).join('\n')
  expect(text).not.toContain('\u001b')
})

describe('the pods of a Deployment', () => {
  const revision = { revision: '1.9.3-aaaaaaaaaa', name: '1.9.3', hash: 'aaaaaaaaaa', format: 2, workloads: [] }
  const drawn = (deployment: RolloutStatus['deployment']) => {
    const object = rollout('checkout', { ...statuses.Promoting, deployment })
    const spec = { ...Object(object.spec), workload: { deployment: { name: 'checkout' } } }
    const input = { questions: [], events: [], now, colours: plain, width: 100, command: (verb: string) => verb }
    return page({ ...input, rollout: readRollout({ ...object, spec }) }).join('\n')
  }

  test('the page says how many are wanted, and whether they are there', () => {
    expect(drawn({ capacity: { replicas: 2, since: ago(60) } })).toContain(
      '2 canary pods are wanted, asked for 60s ago',
    )
    expect(drawn({ capacity: { replicas: 1, since: ago(60), met: true } })).toContain(
      '1 canary pod is wanted and ready',
    )
  })

  test('the page warns where there is no quick way back', () => {
    expect(drawn({ promotion: { previous: revision, at: ago(60), resumedAt: ago(60) } })).toContain(
      'a way back would be slow',
    )
    expect(drawn({ restoring: revision })).toContain('its old pods have to come back')
  })

  test('the page says when nothing holds a new template', () => {
    expect(drawn({ latch: { proven: false, message: 'a changed template was not latched', at: ago(60) } })).toContain(
      'a changed template was not latched',
    )
  })
})
