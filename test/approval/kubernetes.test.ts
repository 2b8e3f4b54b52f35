import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApprovals } from '../../src/approval/approvals.ts'
import { kubernetesDecision, whoAmI } from '../../src/approval/kubernetes.ts'
import { observeApproval } from '../../src/approval/object.ts'
import { type ObjectsServer, startObjectsServer } from './objects-server.ts'
import { clock, owner, question, readableLog } from './questions.ts'

let server: ObjectsServer
beforeAll(async () => {
  server = await startObjectsServer()
})
afterAll(() => server.stop())

test('a member of a Kubernetes group approves under their own name, with the groups that matter and no others', async () => {
  const time = clock()
  const approvals = createApprovals({ client: server.client, runtime: time, log: readableLog().log })
  const asked = await approvals.ask(owner, question({ allowed: ['group:release'] }))
  const user = { name: 'kim', groups: ['system:authenticated', 'release', 'payroll'] }
  const answer = { verdict: 'Approve', reason: 'looks good', id: 'cli-1', at: time.now() } as const
  const result = await approvals.add(asked, kubernetesDecision(asked, user, answer))
  expect(result.kind).toBe('Recorded')
  expect(observeApproval(server.objects.get('shop/checkout-d1')!, time.now())).toMatchObject({
    state: 'Approved',
    by: ['user:kim'],
  })
  if (result.kind !== 'Recorded') return
  expect(result.approval.spec.decisions[0]).toMatchObject({
    groups: ['release'],
    via: 'kubernetes',
    reason: 'looks good',
  })
  const outsider = kubernetesDecision(asked, { name: 'eve', groups: ['payroll'] }, answer)
  expect((await approvals.add(asked, { ...outsider, id: 'cli-2' })).kind).toBe('NotAllowed')
})

test('who somebody is comes from the API server', async () => {
  const asked: unknown[] = []
  const answers: unknown[] = [{ status: { userInfo: { username: 'kim', groups: ['release'] } } }, { status: {} }]
  const client = {
    request: async (...question: unknown[]) => {
      asked.push(question)
      return answers.shift()
    },
  }
  expect(await whoAmI(client)).toEqual({ name: 'kim', groups: ['release'] })
  expect(asked[0]).toMatchObject(['POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}])
  await expect(whoAmI(client)).rejects.toThrow('did not say who you are')
})
