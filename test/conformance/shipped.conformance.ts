import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { parseRolloutSpec } from '../../src/api/parse.ts'
import { canonicalJson } from '../../src/plan/revision.ts'
import { essentialTemplate } from '../../src/plan/template.ts'
import { gatewayApiCrds } from '../../src/sandbox/apiserver/crds/gateway-api.ts'
import { istioCrds } from '../../src/sandbox/apiserver/crds/istio.ts'
import { linkerdCrds } from '../../src/sandbox/apiserver/crds/linkerd.ts'
import { collectionOf } from '../deploy/collection.ts'
import { documentsOf, type Manifest, render, top } from '../deploy/kustomize.ts'
import { type Answer, mergePatchType, type RawClient } from './apiserver.client.ts'
import type { ConnectedServer } from './apiserver.conformance.ts'
import { badRollouts, goodRollouts } from './rollouts.corpus.ts'
import { deploymentWith, templates } from './templates.corpus.ts'

const filesIn = (folder: string) =>
  readdirSync(`${top}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.endsWith('kustomization.yaml'))
    .map((name) => `${folder}/${name}`)
    .sort()
/** The installation for one namespace has everything that the one for a cluster has, and more bindings. */
const installed = [...render('deploy'), ...documentsOf('deploy/overlays/namespace/binding.yaml')]

const meshCrds = [...istioCrds(), ...gatewayApiCrds(), ...linkerdCrds()]

const namespace = 'sluice-shipped'
const rollouts = `/apis/sluice.dev/v1alpha1/namespaces/${namespace}/rollouts`
const approvals = `/apis/sluice.dev/v1alpha1/namespaces/${namespace}/approvals`
const shortest = goodRollouts['the shortest']
const sluice = 'system:serviceaccount:sluice-system:sluice'

/** Asks as somebody else, who may do anything that admission allows. */
const as = (user: string, ...groups: string[]) => ({
  'Impersonate-User': user,
  'Impersonate-Group': ['system:masters', ...groups],
})

/** The installation on the server, as `kubectl apply -k deploy` would put it there; what is there already stays. */
export async function installShipped(client: RawClient): Promise<void> {
  const create = async (path: string, body: unknown) => {
    const answer = await client.request('POST', `${path}?fieldValidation=Strict`, { body })
    if (answer.body.reason !== 'AlreadyExists') expect(answer.body.message ?? '').toBe('')
  }
  for (const name of [namespace, 'shop'])
    await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const namespaces = installed.filter(({ kind }) => kind === 'Namespace')
  for (const each of [...namespaces, ...installed.filter((each) => !namespaces.includes(each))]) {
    await create(await collectionOf(client, each, namespace), each)
  }
  const served = async () =>
    Promise.all(
      ['rollouts', 'approvals', 'rolloutsources', 'analysistemplates'].map(
        async (plural) => (await client.request('GET', `/apis/sluice.dev/v1alpha1/${plural}`)).status,
      ),
    )
  await vi.waitFor(async () => expect(await served()).toEqual([200, 200, 200, 200]), 20_000)
  // A policy takes effect a moment after it is stored.
  const unsigned = rollout('probe', { 'sluice.dev/request': 'pause' }, shortest)
  const unasked = approval('probe')
  const denied = async () =>
    Promise.all([
      client.request('POST', `${rollouts}?dryRun=All`, { body: unsigned, headers: as('eve') }),
      client.request('POST', `${approvals}?dryRun=All`, { body: unasked, headers: as('eve') }),
    ]).then((answers) => answers.map(({ status }) => status))
  await vi.waitFor(async () => expect(await denied()).toEqual([422, 422]), 20_000)
}

function rollout(name: string, annotations: Record<string, string> | undefined, spec: unknown) {
  const metadata = { name, ...(annotations ? { annotations } : {}) }
  return { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', metadata, ...(spec === undefined ? {} : { spec }) }
}

function approval(name: string) {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Approval',
    metadata: { name },
    spec: {
      rollout: 'checkout',
      revision: 'v2-abc',
      step: 1,
      steps: 3,
      from: 10,
      to: 50,
      digest: 'd1',
      required: 1,
      allowed: ['user:eve', 'group:release'],
      expiresAt: '2030-01-01T00:00:00Z',
      onExpiry: 'Reject',
      decisions: [decision({ by: 'slack-user:U1', via: 'slack', email: 'dana@example.com' })],
    },
  }
}

function decision(over: object = {}) {
  return { verdict: 'Approve', by: 'user:eve', via: 'kubernetes', digest: 'd1', at: '2029-01-01T00:00:00Z', ...over }
}

/** What is shipped in crds/, deploy/ and examples/, on an API server: it is taken, and refuses and allows what it says. */
export function shippedConformance(label: string, connect: () => Promise<ConnectedServer>): void {
  describe(label, () => {
    let server: ConnectedServer
    let client: RawClient
    beforeAll(async () => {
      server = await connect()
      client = server.client
      await installShipped(client)
    }, 60_000)
    afterAll(() => server?.stop())

    const dryRun = (spec: unknown) =>
      client.request('POST', `${rollouts}?dryRun=All`, { body: rollout('x', undefined, spec) })

    describe('manifests', () => {
      test.each(installed)('$kind $metadata.name is stored as it is written', async (manifest) => {
        const path = await collectionOf(client, manifest, namespace)
        const answer = await client.request(
          'PATCH',
          `${path}/${manifest.metadata.name}?fieldManager=kubectl&dryRun=All&force=true&fieldValidation=Strict`,
          {
            body: manifest,
            contentType: 'application/apply-patch+yaml',
          },
        )
        expect(answer.body.message ?? '').toBe('')
        expect(answer.headers.warning).toBeUndefined()
        expect(answer.body).toMatchObject(withoutVoid(manifest))
      })

      test.each(meshCrds.map((crd) => [crd.metadata.name, crd] as const))(
        'the sandbox’s own %s is taken',
        async (_, crd) => {
          const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
          const { body } = await client.request('POST', path, { body: crd })
          if (body.reason !== 'AlreadyExists') expect(body.message ?? '').toBe('')
          const { group, names, versions }: Manifest = crd.spec
          const served = `/apis/${group}/${versions[0].name}/${names.plural}`
          await vi.waitFor(async () => expect((await client.request('GET', served)).status).toBe(200), 20_000)
        },
      )

      // What is for Flux and Argo CD needs their CRDs, which neither server has; test/engines plays them.
      const foreign = ['examples/flux/flux.yaml', 'examples/argocd/application.yaml']
      const examples = filesIn('examples').filter((file) => !foreign.includes(file))
      test.each(examples)('%s is taken, without a warning', async (file) => {
        for (const manifest of documentsOf(file)) {
          const path = await collectionOf(client, manifest, namespace)
          const inside = { ...manifest, metadata: { ...manifest.metadata, namespace: undefined } }
          const answer = await client.request(
            'POST',
            `${path.replace(/\/namespaces\/[^/]+/, `/namespaces/${namespace}`)}?dryRun=All&fieldValidation=Strict`,
            {
              body: inside,
            },
          )
          expect(answer.body.message ?? '').toBe('')
          expect(answer.headers.warning).toBeUndefined()
        }
      })
    })

    describe('a Rollout', () => {
      test.each(Object.entries(goodRollouts))('with %s is taken, and defaulted as Sluice reads it', async (_, spec) => {
        const answer = await dryRun(spec)
        expect(answer.body.message ?? '').toBe('')
        const read = parseRolloutSpec(answer.body.spec)
        if (!read.ok) throw new Error(read.problem.message)
        expect(answer.body.spec).toEqual(JSON.parse(JSON.stringify(read.value)))
      })

      test.each(Object.entries(badRollouts))('with %s is refused by those who can know', async (_, bad) => {
        const answer = await dryRun(bad.spec)
        if (bad.server === undefined) expect(answer.body.message ?? '').toBe('')
        else {
          expect(answer.status).toBe(422)
          expect(answer.body.message).toContain(bad.server)
        }
        const read = parseRolloutSpec(bad.spec)
        expect(read.ok ? 'taken' : read.problem.message).toContain(bad.sluice)
      })
    })

    test('templates are defaulted alike everywhere, and defaulting keeps the identity of their content', async () => {
      const path = '/apis/apps/v1/namespaces/default/deployments'
      const post = async (template: Manifest) => {
        const { body } = await client.request('POST', `${path}?dryRun=All`, { body: deploymentWith('t', template) })
        expect(body.message ?? '').toBe('')
        return body.spec.template
      }
      const answers: Record<string, unknown> = {}
      for (const [what, template] of Object.entries(templates)) {
        const defaulted = await post(template)
        expect(canonicalJson(await post(defaulted)), what).toBe(canonicalJson(defaulted))
        answers[what] = { defaulted, hashed: essentialTemplate(defaulted) }
        // A manifest in Git and what the cluster serves of it are one content.
        const declared = deploymentWith('t', template).spec.template
        expect(canonicalJson(essentialTemplate(declared)), what).toBe(canonicalJson(essentialTemplate(defaulted)))
      }
      await expect(stringify(JSON.parse(canonicalJson(answers)))).toMatchFileSnapshot('./templates.served.yaml')
    })

    describe('whoever asks something of a Rollout', () => {
      const request = (value: string, by?: string) => ({
        'sluice.dev/request': value,
        ...(by === undefined ? {} : { 'sluice.dev/requested-by': `user:${by}` }),
      })
      const denied = 'writes user:<their user name> into sluice.dev/requested-by'
      test.each<[string, Record<string, string> | undefined, Record<string, string | null>, string]>([
        ['signs with their own name', undefined, request('pause', 'eve'), ''],
        ['cannot leave the name out', undefined, request('pause'), denied],
        ['cannot sign as another', undefined, request('pause', 'dana'), denied],
        ['cannot change what another asked', request('pause', 'dana'), request('resume', 'dana'), denied],
        ['cannot pass another’s request off as their own', request('pause', 'dana'), request('pause', 'bob'), denied],
        ['may take over a request', request('pause', 'dana'), request('abort', 'eve'), ''],
        ['may leave a request alone', request('pause', 'dana'), { other: 'x' }, ''],
        ['may take a request away', request('pause', 'dana'), { 'sluice.dev/request': null }, ''],
      ])('%s', async (what, before, change, message) => {
        const name = `r-${what.length}-${before ? 'old' : 'new'}-${Date.now().toString(36)}`
        const created = await client.request('POST', rollouts, {
          body: rollout(name, before, shortest),
          headers: as('dana'),
        })
        expect(created.status).toBe(201)
        const body = { metadata: { annotations: change } }
        const answer = await client.request('PATCH', `${rollouts}/${name}`, {
          body,
          contentType: mergePatchType,
          headers: as('eve'),
        })
        judged(answer, 'rollouts', name, 'requester.sluice.dev', message)
      })

      test('says so at creation too', async () => {
        const post = (name: string, by: string) =>
          client.request('POST', `${rollouts}?dryRun=All`, {
            body: rollout(name, request('pause', by), shortest),
            headers: as('eve'),
          })
        expect((await post('mine', 'eve')).status).toBe(201)
        judged(await post('theirs', 'dana'), 'rollouts', 'theirs', 'requester.sluice.dev', denied)
      })
    })

    describe('an Approval', () => {
      const frozen = 'the question cannot be changed; only decisions can be added'
      const own = "a decision must carry your own name: by 'user:<your user name>', via 'kubernetes', no email"
      const kept = 'decisions cannot be changed or taken back; to change your mind, add one'
      const append = (over: object) => (spec: Manifest) => ({ decisions: [...spec.decisions, decision(over)] })
      test.each<[string, (spec: Manifest) => object, string]>([
        ['takes a decision in one’s own name', append({}), ''],
        ['takes a group that one is in', append({ groups: ['shop-dev'] }), ''],
        [
          'refuses a group that one is not in',
          append({ groups: ['release'] }),
          'a decision can only name groups that you are in',
        ],
        ['refuses another’s name', append({ by: 'user:dana' }), own],
        ['refuses an address', append({ email: 'dana@example.com' }), own],
        ['refuses another channel', append({ via: 'slack' }), own],
        ['keeps its quorum', () => ({ required: 2 }), frozen],
        ['keeps its digest', () => ({ digest: 'd2' }), frozen],
        ['keeps its deciders', () => ({ allowed: ['user:eve'] }), frozen],
        ['keeps its authors', () => ({ authors: ['user:x'] }), frozen],
        ['keeps its evidence', () => ({ evidence: ['all is well'] }), frozen],
        ['keeps its decisions', () => ({ decisions: [] }), kept],
        ['keeps what was decided', () => ({ decisions: [decision()] }), kept],
        ['may be touched without a change', () => ({}), ''],
      ])('%s', async (what, change, message) => {
        const name = `a-${what.replaceAll(/[^a-z]+/g, '-')}-${Date.now().toString(36)}`
        const asked = await client.request('POST', approvals, { body: approval(name), headers: as(sluice) })
        expect(asked.body.message ?? '').toBe('')
        const body = { metadata: { labels: { touched: 'yes' } }, spec: change(asked.body.spec) }
        const answer = await client.request('PATCH', `${approvals}/${name}`, {
          body,
          contentType: mergePatchType,
          headers: as('eve', 'shop-dev'),
        })
        judged(answer, 'approvals', name, 'approval-decisions.sluice.dev', message)
      })

      test('is asked by nobody but Sluice, and changed by it at will', async () => {
        const name = `own-${Date.now().toString(36)}`
        const forged = await client.request('POST', approvals, { body: approval(name), headers: as('eve') })
        judged(forged, 'approvals', name, 'approval-decisions.sluice.dev', 'only Sluice asks for approval')
        await client.request('POST', approvals, { body: approval(name), headers: as(sluice) })
        const body = { spec: { required: 2, decisions: [] } }
        const changed = await client.request('PATCH', `${approvals}/${name}`, {
          body,
          contentType: mergePatchType,
          headers: as(sluice),
        })
        expect(changed.body.spec).toMatchObject({ required: 2, decisions: [] })
      })
    })

    describe('a RolloutSource', () => {
      const sources = `/apis/sluice.dev/v1alpha1/namespaces/${namespace}/rolloutsources`
      const post = (spec: object) =>
        client.request('POST', `${sources}?dryRun=All`, {
          body: { apiVersion: 'sluice.dev/v1alpha1', kind: 'RolloutSource', metadata: { name: 's' }, spec },
        })
      test('is filled in', async () => {
        expect((await post({ url: 'git@git.example.com:shop/config' })).body.spec).toMatchObject({
          branch: 'main',
          path: '',
          apply: 'Rollouts',
          write: { mode: 'Push', commits: 'EveryStep', author: { name: 'Sluice', email: 'sluice@sluice.dev' } },
        })
        expect((await post({ url: 'https://g/x', write: { mode: 'Off' } })).body.spec.write).toMatchObject({
          mode: 'Off',
          commits: 'EveryStep',
        })
      })
      test.each([
        [{ url: 'https://me:secret@git.example.com/x' }, 'must not carry a password'],
        [{ url: 'https://ghp_0123456789@git.example.com/x' }, 'must not carry a token'],
        [{ url: 'https://glpat-0123456789@git.example.com/x' }, 'must not carry a token'],
        [{ url: 'ftp://git.example.com/x' }, 'spec.url in body should match'],
        [{ url: 'https://g/x', path: '../up' }, 'must be a folder inside the repository'],
        [{ url: 'https://g/x', path: '/abs' }, 'must be a folder inside the repository'],
        [{ url: 'https://g/x', write: { mode: 'PullRequest' } }, 'mode PullRequest requires commits: Outcomes'],
      ])('%j is refused: %s', async (spec, message) => {
        const answer = await post(spec)
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain(message)
      })
    })
  })
}

function judged(answer: Answer, plural: string, name: string, policy: string, message: string): void {
  if (message === '') expect(answer.body.message ?? '').toBe('')
  else {
    expect(answer.status).toBe(422)
    const start = `${plural}.sluice.dev "${name}" is forbidden: ValidatingAdmissionPolicy '${policy}' with binding '${policy}' denied request: `
    expect(answer.body.message.slice(0, start.length)).toBe(start)
    expect(answer.body.message.slice(start.length)).toContain(message)
  }
}

/** A manifest without what no server keeps: empty lists, maps and texts. */
function withoutVoid(value: Manifest): Manifest {
  if (Array.isArray(value)) return value.map(withoutVoid)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([name]) => name !== 'resources' && name !== 'limits')
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutVoid(field)]))
}
