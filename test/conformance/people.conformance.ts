import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { applyPatchType, mergePatchType, type RawClient } from './apiserver.client.ts'
import type { ConnectedServer } from './apiserver.conformance.ts'
import { goodRollouts } from './rollouts.corpus.ts'
import { installShipped } from './shipped.conformance.ts'

const namespace = 'shop'
const base = `/apis/sluice.dev/v1alpha1/namespaces/${namespace}`
const roles = '/apis/rbac.authorization.k8s.io/v1'
const jsonPatchType = 'application/json-patch+json'

/** Asks as somebody who has no rights but those of the roles that are bound here. */
const as = (user: string, ...groups: string[]) => ({
  'Impersonate-User': user,
  'Impersonate-Group': ['system:authenticated', ...groups],
})

/** Who has which of the roles that are shipped, in the namespace. */
const people = {
  vic: ['sluice-viewer'],
  ann: ['sluice-approver'],
  bob: ['sluice-approver'],
  ops: ['sluice-operator'],
  emma: ['sluice-approver', 'sluice-override'],
}

/** What the shipped roles and policies let people do, on an API server with RBAC. */
export function peopleConformance(label: string, connect: () => Promise<ConnectedServer>): void {
  describe(label, () => {
    let server: ConnectedServer
    let client: RawClient
    let count = 0
    const unique = () => `p-${++count}-${Date.now().toString(36)}`

    beforeAll(async () => {
      server = await connect()
      client = server.client
      await installShipped(client)
      for (const [user, names] of Object.entries(people)) for (const name of names) await bind(user, name)
      const rules = [
        { apiGroups: ['sluice.dev'], resources: ['rollouts'], verbs: ['get', 'patch', 'update', 'create'] },
      ]
      await create(`${roles}/namespaces/${namespace}/roles`, { kind: 'Role', metadata: { name: 'developer' }, rules })
      await bind('dev', 'developer', 'Role')
      // Roles take effect a moment after they are bound.
      await vi.waitFor(async () => {
        const seen = await Promise.all(
          ['vic', 'ann', 'bob', 'ops', 'emma', 'dev'].map(async (user) => {
            const answer = await client.request('GET', `${base}/rollouts/none`, { headers: as(user) })
            return answer.status
          }),
        )
        expect(seen).toEqual([404, 404, 404, 404, 404, 404])
      }, 20_000)
    }, 60_000)
    afterAll(() => server?.stop())

    async function create(path: string, body: object): Promise<void> {
      const apiVersion = path.startsWith(roles) ? 'rbac.authorization.k8s.io/v1' : 'sluice.dev/v1alpha1'
      const answer = await client.request('POST', path, { body: { apiVersion, ...body } })
      expect(answer.body.message ?? '').toBe('')
    }

    const bind = (user: string, name: string, kind = 'ClusterRole') =>
      create(`${roles}/namespaces/${namespace}/rolebindings`, {
        kind: 'RoleBinding',
        metadata: { name: `${user}-${name}` },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
      })

    async function rollout(): Promise<string> {
      const name = unique()
      await create(`${base}/rollouts`, {
        kind: 'Rollout',
        metadata: { name, labels: { team: 'shop' }, annotations: { note: 'x' } },
        spec: goodRollouts['the shortest'],
      })
      return name
    }

    async function question(over: object = {}): Promise<string> {
      const name = unique()
      const spec = {
        rollout: 'checkout',
        revision: 'v2-abc',
        step: 1,
        steps: 3,
        from: 10,
        to: 50,
        digest: 'd1',
        required: 1,
        allowed: ['user:ann', 'group:release'],
        requiredFrom: ['group:release'],
        change: { to: { revision: 'v2-abc', image: 'shop:2' }, author: 'Dana <dana@example.com>' },
        expiresAt: '2030-01-01T00:00:00Z',
        onExpiry: 'Reject',
        decisions: [],
        ...over,
      }
      const labels = { 'sluice.dev/rollout': 'checkout' }
      const body = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Approval', metadata: { name, labels }, spec }
      const headers = {
        'Impersonate-User': 'system:serviceaccount:sluice-system:sluice',
        'Impersonate-Group': ['system:masters'],
      }
      expect((await client.request('POST', `${base}/approvals`, { body, headers })).body.message ?? '').toBe('')
      return name
    }

    const decisionOf = (user: string, over: object = {}) => ({
      verdict: 'Approve',
      by: `user:${user}`,
      via: 'kubernetes',
      digest: 'd1',
      at: '2026-03-02T09:00:00Z',
      ...over,
    })

    /** Adds a decision as kubectl does with the patch of docs/approvals.md. */
    async function say(user: string, name: string, decision: object, ...groups: string[]): Promise<string> {
      const body = [{ op: 'add', path: '/spec/decisions/-', value: decision }]
      const contentType = jsonPatchType
      const headers = as(user, ...groups)
      const answer = await client.request('PATCH', `${base}/approvals/${name}`, { body, contentType, headers })
      expect([200, 403, 422]).toContain(answer.status)
      return answer.status === 200 ? '' : answer.body.message
    }

    describe('an approver', () => {
      const later = { notBefore: '2026-03-03T09:00:00.5+01:00' }
      test.each<[string, string, object, string[], string]>([
        ['decides in their own name', 'ann', {}, [], ''],
        ['rejects', 'ann', { verdict: 'Reject', reason: 'no' }, [], ''],
        ['approves for later', 'ann', later, [], ''],
        ['decides as a member of a group', 'bob', { groups: ['release'] }, ['release'], ''],
        ['says the group', 'bob', {}, ['release'], 'user:bob is not named in approval.from (user:ann, group:release)'],
        ['is named', 'bob', {}, [], 'user:bob is not named in approval.from'],
        ['claims no group', 'bob', { groups: ['release'] }, [], 'a decision can only name groups that you are in'],
        ['claims no name', 'bob', { by: 'user:ann' }, [], 'a decision must carry your own name'],
        ['is no key', 'ann', { by: 'webhook:ci', via: 'webhook' }, [], 'a decision must carry your own name'],
        ['is no merge', 'ann', { by: 'git-user:ann', via: 'git' }, [], 'a decision must carry your own name'],
        ['decides about this move', 'ann', { digest: 'd0' }, [], 'this question has the digest d1'],
        ['writes times', 'ann', { notBefore: 'tomorrow' }, [], 'at and notBefore are times'],
        ['writes when', 'ann', { at: 'now' }, [], 'at and notBefore are times'],
        ['rejects at once', 'ann', { ...later, verdict: 'Reject' }, [], 'notBefore goes with an approval'],
        ['does not override', 'ann', { override: true, reason: 'x' }, [], 'user:ann may not override'],
      ])('%s', async (_, user, over, groups, message) => {
        const name = await question()
        const said = await say(user, name, decisionOf(user, over), ...groups)
        if (message === '') expect(said).toBe('')
        else expect(said).toContain(message)
        const { body } = await client.request('GET', `${base}/approvals/${name}`)
        expect(body.spec.decisions).toHaveLength(message === '' ? 1 : 0)
      })

      test.each(['Rejected', 'Expired', 'Void', 'Consumed'])('is told that a question is %s', async (state) => {
        const name = await question()
        const body = { status: { state, message: `it is ${state}` } }
        const path = `${base}/approvals/${name}/status`
        expect((await client.request('PATCH', path, { body, contentType: mergePatchType })).status).toBe(422)
        const headers = {
          'Impersonate-User': 'system:serviceaccount:sluice-system:sluice',
          'Impersonate-Group': ['system:masters'],
        }
        expect((await client.request('PATCH', path, { body, contentType: mergePatchType, headers })).status).toBe(200)
        expect(await say('ann', name, decisionOf('ann'))).toContain(`this question is closed: it is ${state}`)
        expect(await say('emma', name, decisionOf('emma', { override: true, reason: 'x' }))).toContain('is closed')
      })

      test.each<[string, object]>([
        ['who has to be among them', { spec: { requiredFrom: null } }],
        ['what would change', { spec: { change: { author: 'Eve <eve@example.com>' } } }],
      ])('does not change %s', async (_, body) => {
        const path = `${base}/approvals/${await question()}`
        const answer = await client.request('PATCH', path, { body, contentType: mergePatchType, headers: as('ann') })
        expect(answer.body.message).toContain('the question cannot be changed')
      })

      test.each<[string, object]>([
        ['label', { labels: { 'sluice.dev/rollout': null } }],
        ['owner', { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] }],
        ['finalizers', { finalizers: ['example.com/stay'] }],
      ])('leaves the %s of a question alone', async (_, metadata) => {
        const path = `${base}/approvals/${await question()}`
        const body = { metadata }
        const answer = await client.request('PATCH', path, { body, contentType: mergePatchType, headers: as('ann') })
        expect(answer.body.message).toContain('the question stays with its Rollout')
        expect((await client.request('PATCH', path, { body, contentType: mergePatchType })).body.message ?? '').toBe('')
      })

      test('may do nothing else', async () => {
        const [approval, name] = [`${base}/approvals/${await question()}`, await rollout()]
        const attempts: [string, string, unknown][] = [
          ['DELETE', approval, undefined],
          ['POST', `${base}/approvals`, { metadata: { name: 'forged' } }],
          ['PATCH', `${approval}/status`, { status: { state: 'Approved' } }],
          ['PATCH', `${base}/rollouts/${name}`, { metadata: { annotations: { 'sluice.dev/request': 'x' } } }],
          ['GET', `/api/v1/namespaces/${namespace}/secrets`, undefined],
          ['PATCH', approval.replace(namespace, 'default'), { spec: {} }],
        ]
        for (const [method, path, body] of attempts) {
          const answer = await client.request(method, path, { body, contentType: mergePatchType, headers: as('ann') })
          expect([method, path, answer.status]).toEqual([method, path, 403])
        }
      })
    })

    describe('somebody who may override', () => {
      test.each<[string, object, string]>([
        ['does so, though nobody asked them', { override: true, reason: 'the site is down' }, ''],
        ['says why', { override: true }, 'an override is an approval for now, with a reason'],
        ['says why, in words', { override: true, reason: ' \t' }, 'an override is an approval for now, with a reason'],
        ['approves', { override: true, reason: 'x', verdict: 'Reject' }, 'an override is an approval for now'],
        ['does so now', { override: true, reason: 'x', notBefore: '2026-03-03T09:00:00Z' }, 'is an approval for now'],
        ['does so in their own name', { override: true, reason: 'x', by: 'user:ann' }, 'must carry your own name'],
        ['is nobody who was asked otherwise', {}, 'is not named in approval.from'],
      ])('%s', async (_, over, message) => {
        const said = await say('emma', await question(), decisionOf('emma', over))
        if (message === '') expect(said).toBe('')
        else expect(said).toContain(message)
      })
    })

    describe('an operator', () => {
      const ask = (user: string, by = `user:${user}`) => ({
        metadata: {
          annotations: { 'sluice.dev/request': `{"id":"${unique()}","verb":"pause"}`, 'sluice.dev/requested-by': by },
        },
      })
      const refused = 'you may ask something of this Rollout'
      const patch = (user: string, name: string, body: unknown, contentType = mergePatchType, query = '') =>
        client.request('PATCH', `${base}/rollouts/${name}${query}`, { body, contentType, headers: as(user) })

      test('asks something of a Rollout, by any patch', async () => {
        const name = await rollout()
        expect((await patch('ops', name, ask('ops'))).body.message ?? '').toBe('')
        const { annotations } = ask('ops').metadata
        const ops = [
          {
            op: 'replace',
            path: '/metadata/annotations/sluice.dev~1request',
            value: annotations['sluice.dev/request'],
          },
        ]
        expect((await patch('ops', name, ops, jsonPatchType)).body.message ?? '').toBe('')
        const applied = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', ...ask('ops') }
        const answer = await patch('ops', name, applied, applyPatchType, '?fieldManager=me&force=true')
        expect(answer.body.message ?? '').toBe('')
        expect(answer.body.metadata.annotations).toMatchObject({ note: 'x', 'sluice.dev/requested-by': 'user:ops' })
      })

      test.each<[string, object]>([
        ['steps', { spec: { steps: [{ weight: 100 }] } }],
        ['suspension', { spec: { suspend: true } }],
        ['labels', { metadata: { labels: { team: 'other' } } }],
        ['other annotations', { metadata: { annotations: { note: 'y' } } }],
        ['other annotations, by taking one away', { metadata: { annotations: { note: null } } }],
        ['other annotations, by adding one', { metadata: { annotations: { more: 'y' } } }],
        ['finalizers', { metadata: { finalizers: ['example.com/stay'] } }],
      ])('cannot change %s', async (_, body) => {
        const name = await rollout()
        const answer = await patch('ops', name, body)
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain(refused)
        const applied = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', ...body }
        const forced = await patch('ops', name, applied, applyPatchType, '?fieldManager=me&force=true')
        if (!JSON.stringify(body).includes('null')) expect(forced.body.message).toContain(refused)
        expect((await patch('dev', name, body)).body.message ?? '').toBe('')
      })

      test('cannot replace, create or delete one, nor write its status or decide', async () => {
        const path = `${base}/rollouts/${await rollout()}`
        const { body } = await client.request('GET', path)
        const approval = `${base}/approvals/${await question()}`
        for (const [method, where] of [
          ['PUT', path],
          ['POST', `${base}/rollouts`],
          ['DELETE', path],
          ['PUT', `${path}/status`],
          ['PATCH', approval],
        ] as const) {
          const contentType = method === 'PATCH' ? mergePatchType : 'application/json'
          const answer = await client.request(method, where, { body, contentType, headers: as('ops') })
          expect([method, answer.status]).toEqual([method, 403])
        }
      })
    })

    describe('nobody asks in another’s name', () => {
      const own = 'writes user:<their user name> into sluice.dev/requested-by'
      const signed = (by: string, request = 'pause') => ({
        'sluice.dev/request': request,
        'sluice.dev/requested-by': `user:${by}`,
      })
      const headers = as('dev')

      test('by patch, by apply or by replacing the whole', async () => {
        const name = await rollout()
        const path = `${base}/rollouts/${name}`
        const forged = { metadata: { annotations: signed('ops') } }
        const whole = (await client.request('GET', path)).body
        const attempts: [string, string, unknown, string][] = [
          ['PATCH', path, forged, mergePatchType],
          ['PATCH', path, [{ op: 'add', path: '/metadata/annotations', value: signed('ops') }], jsonPatchType],
          [
            'PATCH',
            `${path}?fieldManager=flux&force=true`,
            { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', ...forged },
            applyPatchType,
          ],
          ['PUT', path, { ...whole, metadata: { ...whole.metadata, annotations: signed('ops') } }, 'application/json'],
          [
            'POST',
            `${base}/rollouts`,
            {
              apiVersion: 'sluice.dev/v1alpha1',
              kind: 'Rollout',
              metadata: { name: unique(), annotations: signed('ops') },
              spec: whole.spec,
            },
            'application/json',
          ],
        ]
        for (const [method, where, body, contentType] of attempts) {
          const answer = await client.request(method, where, { body, contentType, headers })
          expect([method, contentType, answer.body.message ?? '']).toEqual([
            method,
            contentType,
            expect.stringContaining(own),
          ])
        }
        expect((await client.request('GET', path)).body.metadata).toEqual(whole.metadata)
      })

      test('whoever applies the whole object from Git leaves a request alone, and may drop it', async () => {
        const name = await rollout()
        const path = `${base}/rollouts/${name}`
        const body = { metadata: { annotations: signed('ops') } }
        expect(
          (await client.request('PATCH', path, { body, contentType: mergePatchType, headers: as('ops') })).status,
        ).toBe(200)
        const applied = {
          apiVersion: 'sluice.dev/v1alpha1',
          kind: 'Rollout',
          metadata: { labels: { from: 'git' } },
          spec: goodRollouts['the shortest'],
        }
        const kept = await client.request('PATCH', `${path}?fieldManager=flux&force=true`, {
          body: applied,
          contentType: applyPatchType,
          headers,
        })
        expect(kept.body.metadata?.annotations).toMatchObject(signed('ops'))
        const { annotations: _, ...metadata } = kept.body.metadata
        const replaced = await client.request('PUT', path, { body: { ...kept.body, metadata }, headers })
        expect(replaced.body.message ?? '').toBe('')
        expect(replaced.body.metadata.annotations ?? {}).toEqual({})
      })
    })

    describe('the authorizer in an expression', () => {
      const on = "authorizer.group('sluice.dev')"
      const questions: Record<string, boolean> = {
        [`${on}.resource('approvals').namespace('shop').check('patch').allowed()`]: true,
        [`${on}.resource('approvals').namespace('shop').name('any').check('patch').allowed()`]: true,
        [`${on}.resource('approvals').namespace('default').check('patch').allowed()`]: false,
        [`${on}.resource('approvals').check('patch').allowed()`]: false,
        [`${on}.resource('approvals').subresource('status').namespace('shop').check('patch').allowed()`]: false,
        [`${on}.resource('approvals').namespace('shop').check('override').allowed()`]: false,
        [`${on}.resource('rollouts').namespace('shop').check('list').allowed()`]: true,
        "authorizer.group('').resource('approvals').namespace('shop').check('patch').allowed()": false,
        "authorizer.path('/nowhere').check('get').allowed()": false,
        "authorizer.requestResource.check('create').allowed()": true,
        "authorizer.requestResource.check('delete').allowed()": false,
        "authorizer.serviceAccount('shop', 'robot').group('').resource('configmaps').namespace('shop').check('create').allowed()": false,
        "authorizer.serviceAccount('shop', 'robot').group('sluice.dev').resource('rollouts').namespace('shop').check('get').allowed()": true,
        [`${on}.resource('approvals').namespace('shop').check('override').reason() == ''`]: true,
        [`${on}.resource('approvals').namespace('shop').check('override').errored()`]: false,
        [`${on}.resource('approvals').namespace('shop').check('override').error() == ''`]: true,
      }
      const kinds = '/apis/admissionregistration.k8s.io/v1'
      const policy = (
        name: string,
        validations: { expression: string; message?: string; messageExpression?: string }[],
      ) => ({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name },
        spec: {
          matchConstraints: {
            resourceRules: [
              { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
            ],
          },
          matchConditions: [{ name: 'asked', expression: "request.userInfo.username == 'ann'" }],
          validations,
        },
      })

      beforeAll(async () => {
        const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['create'] }]
        await create(`${roles}/namespaces/${namespace}/roles`, { kind: 'Role', metadata: { name: 'maps' }, rules })
        await bind('ann', 'maps', 'Role')
        await create(`${roles}/namespaces/${namespace}/rolebindings`, {
          kind: 'RoleBinding',
          metadata: { name: 'robots' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sluice-viewer' },
          subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:serviceaccounts:shop' }],
        })
      })

      test('answers as RBAC does, for the user who asks and for others', async () => {
        const name = unique()
        const asked = policy(name, [
          { expression: "request.name != 'active'", message: 'the policy is active' },
          ...Object.entries(questions).map(([question, yes]) => ({
            expression: `(${question}) == ${yes}`,
            message: `wrong: ${question}`,
          })),
        ])
        const made = await client.request('POST', `${kinds}/validatingadmissionpolicies`, { body: asked })
        expect(made.body.message ?? '').toBe('')
        const spec = { policyName: name, validationActions: ['Deny'] }
        const binding = { ...asked, kind: 'ValidatingAdmissionPolicyBinding', spec }
        await client.request('POST', `${kinds}/validatingadmissionpolicybindings`, { body: binding })
        const told = async (map: string) => {
          const path = `/api/v1/namespaces/${namespace}/configmaps?dryRun=All`
          const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: map } }
          return (await client.request('POST', path, { body, headers: as('ann') })).body.message ?? ''
        }
        await vi.waitFor(async () => expect(await told('active')).toContain('the policy is active'), 20_000)
        expect(await told('probe')).toBe('')
      })

      test('is not there in a message', async () => {
        const body = policy(unique(), [])
        const messageExpression = "authorizer.path('/x').check('get').allowed() ? 'yes' : 'no'"
        body.spec.validations = [{ expression: 'false', messageExpression }]
        const answer = await client.request('POST', `${kinds}/validatingadmissionpolicies?dryRun=All`, { body })
        expect([answer.status, answer.body.message]).toEqual([
          422,
          expect.stringContaining('spec.validations[0].messageExpression'),
        ])
      })

      test.each([
        "authorizer.check('get').allowed()",
        "authorizer.group('x').check('get').allowed()",
        "authorizer.path('/x').namespace('y').check('get').allowed()",
        "authorizer.requestResource.check('get') == true",
        'authorizer.nothing',
      ])('that cannot be is refused when it is written: %s', async (expression) => {
        const path = `${kinds}/validatingadmissionpolicies?dryRun=All`
        const answer = await client.request('POST', path, { body: policy(unique(), [{ expression }]) })
        expect([answer.status, answer.body.message]).toEqual([422, expect.stringContaining('compilation failed')])
      })
    })

    test('somebody who looks changes nothing', async () => {
      const name = await rollout()
      const read = await client.request('GET', `${base}/rollouts/${name}`, { headers: as('vic') })
      expect(read.status).toBe(200)
      for (const path of [`${base}/rollouts/${name}`, `${base}/approvals/${await question()}`]) {
        const answer = await client.request('PATCH', path, {
          body: {},
          contentType: mergePatchType,
          headers: as('vic'),
        })
        expect(answer.status).toBe(403)
      }
    })
  })
}
