import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  applyPatchType,
  jsonPatchType,
  mergePatchType,
  type RawClient,
  strategicPatchType,
} from './apiserver.client.ts'
import {
  configMap,
  configMaps,
  deployment,
  deployments,
  installWidgets,
  widget,
  widgets,
} from './apiserver.fixtures.ts'

import { crdConformance } from './crd.conformance.ts'
import { creatingConformance } from './creating.conformance.ts'
import { selectorConformance } from './selectors.conformance.ts'

export interface ConnectedServer {
  client: RawClient
  /** Whether garbage collection and namespace deletion run (envtest has no controllers). */
  controllers: boolean
  /** Makes every resourceVersion so far too old to watch from; absent where it cannot be forced. */
  expire?: () => void
  stop(): Promise<void>
}

/** What must hold on any Kubernetes API server, over raw HTTP. */
export function apiServerConformance(label: string, connect: () => Promise<ConnectedServer>): void {
  describe(label, () => {
    let server: ConnectedServer
    let client: RawClient
    let serial = 0
    const fresh = (stem: string) => `${stem}-${Date.now().toString(36)}-${serial++}`

    beforeAll(async () => {
      server = await connect()
      client = server.client
      await installWidgets(client)
    }, 60_000)
    afterAll(() => server?.stop())

    async function created(path: string, body: unknown, query = '') {
      const answer = await client.request('POST', `${path}${query}`, { body })
      expect(answer.body.message ?? '').toBe('')
      expect(answer.status).toBe(201)
      return answer.body
    }

    describe('optimistic concurrency', () => {
      test('refuses a PUT whose resourceVersion is old, in the words clients look for', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name, { a: '1' }))
        await client.request('PUT', `${configMaps}/${name}`, { body: { ...first, data: { a: '2' } } })
        const late = await client.request('PUT', `${configMaps}/${name}`, { body: { ...first, data: { a: '3' } } })
        expect(late.status).toBe(409)
        expect(late.body).toMatchObject({
          kind: 'Status',
          reason: 'Conflict',
          code: 409,
          details: { name, kind: 'configmaps' },
        })
        expect(late.body.message).toBe(
          `Operation cannot be fulfilled on configmaps "${name}": the object has been modified; please apply your changes to the latest version and try again`,
        )
      })

      test('takes a PUT without resourceVersion for built-in kinds and refuses it for custom ones', async () => {
        const name = fresh('x')
        await created(configMaps, configMap(name))
        await created(widgets, widget(name))
        const builtin = await client.request('PUT', `${configMaps}/${name}`, { body: configMap(name, { b: '1' }) })
        const custom = await client.request('PUT', `${widgets}/${name}`, { body: widget(name) })
        expect(builtin.status).toBe(200)
        expect(custom.status).toBe(422)
        expect(custom.body.message).toContain('metadata.resourceVersion')
        expect(custom.body.message).toContain('must be specified for an update')
      })

      test('a JSON patch that replaces resourceVersion, or a merge patch that carries it, is a precondition', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name, { a: '1' }))
        await client.request('PATCH', `${configMaps}/${name}`, {
          body: { data: { a: '2' } },
          contentType: mergePatchType,
        })
        const old = first.metadata.resourceVersion
        const json = await client.request('PATCH', `${configMaps}/${name}`, {
          body: [
            { op: 'replace', path: '/metadata/resourceVersion', value: old },
            { op: 'replace', path: '/data/a', value: '3' },
          ],
          contentType: jsonPatchType,
        })
        const merge = await client.request('PATCH', `${configMaps}/${name}`, {
          body: { metadata: { resourceVersion: old }, data: { a: '3' } },
          contentType: mergePatchType,
        })
        expect([json.status, merge.status]).toEqual([409, 409])
        const now = await client.request('GET', `${configMaps}/${name}`)
        expect(now.body.data).toEqual({ a: '2' })
      })

      test('a failing JSON patch test is a 422 and changes nothing', async () => {
        const name = fresh('cm')
        await created(configMaps, configMap(name, { a: '1' }))
        const answer = await client.request('PATCH', `${configMaps}/${name}`, {
          body: [
            { op: 'test', path: '/data/a', value: '9' },
            { op: 'replace', path: '/data/a', value: '3' },
          ],
          contentType: jsonPatchType,
        })
        expect(answer.status).toBe(422)
        expect(answer.body.reason).toBe('Invalid')
        const now = await client.request('GET', `${configMaps}/${name}`)
        expect(now.body.data).toEqual({ a: '1' })
      })

      test('a write that changes nothing keeps the resourceVersion', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name, { a: '1' }))
        const again = await client.request('PATCH', `${configMaps}/${name}`, {
          body: { data: { a: '1' } },
          contentType: mergePatchType,
        })
        expect(again.body.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
      })

      test('delete honours uid and resourceVersion preconditions', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name))
        const wrong = await client.request('DELETE', `${configMaps}/${name}`, {
          body: { preconditions: { uid: 'another' } },
        })
        expect(wrong.status).toBe(409)
        const right = await client.request('DELETE', `${configMaps}/${name}`, {
          body: { preconditions: { uid: first.metadata.uid, resourceVersion: first.metadata.resourceVersion } },
        })
        expect(right.status).toBe(200)
        expect((await client.request('GET', `${configMaps}/${name}`)).status).toBe(404)
      })
    })

    describe('creating', () => {
      test('sets uid, creationTimestamp, resourceVersion and generation, and refuses a second one', async () => {
        const name = fresh('web')
        const object = await created(deployments, deployment(name))
        expect(object.metadata).toMatchObject({ generation: 1, name, namespace: 'default' })
        expect(object.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
        expect(object.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
        const second = await client.request('POST', deployments, { body: deployment(name) })
        expect(second.status).toBe(409)
        expect(second.body).toMatchObject({
          reason: 'AlreadyExists',
          message: `deployments.apps "${name}" already exists`,
        })
      })

      test('fills in the defaults of a Deployment', async () => {
        const object = await created(deployments, deployment(fresh('web')))
        expect(object.spec).toMatchObject({
          replicas: 1,
          revisionHistoryLimit: 10,
          progressDeadlineSeconds: 600,
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
        })
        expect(object.spec.template.spec).toEqual({
          containers: [
            {
              name: 'web',
              image: 'registry.example/web:1.0.0',
              imagePullPolicy: 'IfNotPresent',
              resources: {},
              terminationMessagePath: '/dev/termination-log',
              terminationMessagePolicy: 'File',
            },
          ],
          dnsPolicy: 'ClusterFirst',
          restartPolicy: 'Always',
          schedulerName: 'default-scheduler',
          securityContext: {},
          terminationGracePeriodSeconds: 30,
        })
      })

      test('makes a name from generateName', async () => {
        const object = await created(configMaps, { ...configMap(''), metadata: { generateName: 'made-' } })
        expect(object.metadata.name).toMatch(/^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      })

      test('dry run answers the object and stores nothing', async () => {
        const name = fresh('web')
        const object = await created(deployments, deployment(name), '?dryRun=All')
        expect(object.spec.replicas).toBe(1)
        expect((await client.request('GET', `${deployments}/${name}`)).status).toBe(404)
      })

      test('names what is wrong: bad names, missing fields, a selector that does not match', async () => {
        const badName = await client.request('POST', configMaps, { body: configMap('Not_A_Name') })
        expect(badName.status).toBe(422)
        expect(badName.body.message).toContain(
          'metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain',
        )
        const name = fresh('web')
        const broken = deployment(name)
        const mismatched = {
          ...broken,
          spec: {
            ...broken.spec,
            template: { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'web' }] } },
          },
        }
        const answer = await client.request('POST', deployments, { body: mismatched })
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain('`selector` does not match template `labels`')
        expect(answer.body.details.causes).toContainEqual(
          expect.objectContaining({ field: 'spec.template.spec.containers[0].image', reason: 'FieldValueRequired' }),
        )
      })

      test('a Deployment is refused for its strategy, and not for environment said twice', async () => {
        const refused = async (strategy: object) => {
          const body = deployment(fresh('web'))
          const answer = await client.request('POST', deployments, {
            body: { ...body, spec: { ...body.spec, strategy } },
          })
          expect(answer.status).toBe(422)
          return answer.body.message
        }
        expect(await refused({ type: 'Sudden' })).toContain('spec.strategy: Unsupported value')
        expect(await refused({ rollingUpdate: { maxSurge: 'x%' } })).toContain(
          'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x%": a valid percent string',
        )
        const body = deployment(fresh('web'))
        const env = [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ]
        const containers = [{ name: 'web', image: 'web:1', env }]
        const object = await created(deployments, {
          ...body,
          spec: { ...body.spec, template: { ...body.spec.template, spec: { containers } } },
        })
        expect(object.spec.template.spec.containers[0].env).toEqual(env)
      })

      test('strict field validation refuses unknown fields, the default warns of them and drops them', async () => {
        const body = { ...widget(fresh('w')), spec: { size: 1, unheardOf: true } }
        const strict = await client.request('POST', `${widgets}?fieldValidation=Strict`, { body })
        expect(strict.status).toBe(400)
        expect(strict.body.message).toContain('unknown field "spec.unheardOf"')
        const warned = await client.request('POST', `${widgets}?fieldValidation=Warn`, { body })
        expect(warned.status).toBe(201)
        expect(warned.body.spec).not.toHaveProperty('unheardOf')
        expect(warned.headers.warning).toContain('unknown field')
      })
    })

    describe('generation and subresources', () => {
      test('annotations of a Deployment raise its generation, as the spec does', async () => {
        const name = fresh('web')
        await created(deployments, deployment(name))
        const annotate = (value: string) =>
          client.request('PATCH', `${deployments}/${name}`, {
            body: { metadata: { annotations: { note: value } } },
            contentType: mergePatchType,
          })
        expect((await annotate('a')).body.metadata.generation).toBe(2)
        expect((await annotate('a')).body.metadata.generation).toBe(2)
        expect((await annotate('b')).body.metadata.generation).toBe(3)
      })

      test('generation rises with the spec only', async () => {
        const name = fresh('web')
        await created(deployments, deployment(name))
        const patch = (body: unknown, path = '') =>
          client.request('PATCH', `${deployments}/${name}${path}`, { body, contentType: mergePatchType })
        expect((await patch({ metadata: { labels: { a: 'b' } } })).body.metadata.generation).toBe(1)
        expect((await patch({ spec: { replicas: 3 } })).body.metadata.generation).toBe(2)
        expect((await patch({ status: { replicas: 7 } }, '/status')).body.metadata.generation).toBe(2)
        expect((await patch({ spec: { replicas: 3 } })).body.metadata.generation).toBe(2)
      })

      test('the main endpoint ignores status, the status endpoint ignores everything else', async () => {
        const name = fresh('w')
        await created(widgets, { ...widget(name), status: { phase: 'Sneaked' } })
        const path = `${widgets}/${name}`
        expect((await client.request('GET', path)).body).not.toHaveProperty('status')
        await client.request('PATCH', `${path}/status`, {
          body: { spec: { size: 9 }, metadata: { labels: { x: 'y' } }, status: { phase: 'Fine' } },
          contentType: mergePatchType,
        })
        await client.request('PATCH', path, {
          body: { spec: { size: 2 }, status: { phase: 'Sneaked' } },
          contentType: mergePatchType,
        })
        const object = (await client.request('GET', path)).body
        expect(object.spec.size).toBe(2)
        expect(object.status).toEqual({ phase: 'Fine' })
        expect(object.metadata.labels).toBeUndefined()
      })

      test('scale reads and writes replicas, of Deployments and of custom resources', async () => {
        const name = fresh('web')
        await created(deployments, deployment(name))
        const scaled = await client.request('PATCH', `${deployments}/${name}/scale`, {
          body: { spec: { replicas: 4 } },
          contentType: mergePatchType,
        })
        expect(scaled.body).toMatchObject({ kind: 'Scale', spec: { replicas: 4 }, status: { selector: `app=${name}` } })
        expect((await client.request('GET', `${deployments}/${name}`)).body.spec.replicas).toBe(4)
        await created(widgets, widget(name, { size: 2 }))
        const custom = await client.request('GET', `${widgets}/${name}/scale`)
        expect(custom.body.spec).toEqual({ replicas: 2 })
      })

      test("a Deployment's selector cannot change", async () => {
        const name = fresh('web')
        await created(deployments, deployment(name))
        const answer = await client.request('PATCH', `${deployments}/${name}`, {
          body: { spec: { selector: { matchLabels: { app: 'b' } }, template: { metadata: { labels: { app: 'b' } } } } },
          contentType: mergePatchType,
        })
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain('spec.selector')
        expect(answer.body.message).toContain('field is immutable')
      })
    })

    describe('strategic merge patch', () => {
      test('merges containers and env by name, deletes with $patch', async () => {
        const name = fresh('web')
        await created(deployments, deployment(name))
        const patch = (containers: unknown[]) =>
          client.request('PATCH', `${deployments}/${name}`, {
            body: { spec: { template: { spec: { containers } } } },
            contentType: strategicPatchType,
          })
        await patch([
          {
            name: 'side',
            image: 'registry.example/side:1',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
          },
        ])
        const answer = await patch([
          {
            name: 'side',
            env: [
              { name: 'A', value: '3' },
              { name: 'B', $patch: 'delete' },
            ],
          },
        ])
        const containers = answer.body.spec.template.spec.containers
        expect(containers.map((each: { name: string }) => each.name).sort()).toEqual(['side', 'web'])
        const side = containers.find((each: { name: string }) => each.name === 'side')
        expect(side).toMatchObject({ image: 'registry.example/side:1', env: [{ name: 'A', value: '3' }] })
      })

      test('is not for custom resources', async () => {
        const name = fresh('w')
        await created(widgets, widget(name))
        const answer = await client.request('PATCH', `${widgets}/${name}`, {
          body: { spec: { size: 2 } },
          contentType: strategicPatchType,
        })
        expect(answer.status).toBe(415)
      })
    })

    describe('custom resources', () => {
      test('are defaulted and pruned, down to the items of lists', async () => {
        const object = await created(
          widgets,
          widget(fresh('w'), { parts: [{ name: 'a', odd: 1 }], free: { anything: { goes: [1] } }, port: 'http' }),
          '?fieldValidation=Ignore',
        )
        expect(object.spec).toEqual({
          size: 1,
          color: 'green',
          parts: [{ name: 'a', count: 1 }],
          free: { anything: { goes: [1] } },
          port: 'http',
        })
      })

      test.each([
        [{ size: 11 }, 'spec.size in body should be less than or equal to 10'],
        [{ size: -1 }, 'spec.size in body should be greater than or equal to 0'],
        [{ size: 'two' }, 'spec.size in body must be of type integer: "string"'],
        [{ size: 1, color: 'blue' }, 'spec.color: Unsupported value: "blue": supported values: "red", "green"'],
        [{ size: 1, name: 'X' }, "spec.name in body should match '^[a-z]+$'"],
        [{ size: 1, parts: [{ name: 'a' }, { name: 'a' }] }, 'spec.parts[1]: Duplicate value'],
        [{ size: 1, tags: ['a', 'a'] }, 'spec.tags[1]: Duplicate value: "a"'],
        [{ size: 5, limit: 4 }, 'a green widget is over its limit'],
      ])('%j is refused: %s', async (spec, message) => {
        const answer = await client.request('POST', widgets, { body: { ...widget(fresh('w')), spec } })
        expect(answer.status).toBe(422)
        expect(answer.body.reason).toBe('Invalid')
        expect(answer.body.message).toContain(message)
      })

      test('a missing required field is named', async () => {
        const answer = await client.request('POST', widgets, { body: { ...widget(fresh('w')), spec: {} } })
        expect(answer.status).toBe(422)
        expect(answer.body.details.causes).toContainEqual({
          reason: 'FieldValueRequired',
          message: 'Required value',
          field: 'spec.size',
        })
      })

      test.each([
        ['a field that is invalid beside it', { size: 5, limit: 4, name: 'X' }, 'a green widget is over its limit'],
        ['a field of the wrong type beside it', { size: 'two', limit: 1 }, 'some validation rules were not checked'],
        ['a fraction for a whole number', { size: 0.5 }, 'Checked value must be of type integer'],
      ])('rules and schema together: %s', async (_, spec, message) => {
        const answer = await client.request('POST', widgets, { body: { ...widget(fresh('w')), spec } })
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain(message)
      })

      test('a refused scalar is shown, a refused map is not', async () => {
        const name = fresh('w')
        await created(widgets, widget(name, { fixed: 'a' }))
        const body = { spec: { fixed: 'b', size: 2, limit: 1 } }
        const answer = await client.request('PATCH', `${widgets}/${name}`, { body, contentType: mergePatchType })
        expect(answer.body.message).toContain('spec.fixed: Invalid value: "b": fixed cannot change')
        expect(answer.body.message).toContain('spec: Invalid value: a green widget is over its limit')
      })

      test('a null is no value, except among the items of a list', async () => {
        const object = await created(widgets, widget(fresh('w'), { color: null, name: null, port: null }))
        expect(object.spec).toEqual({ size: 1, color: 'green' })
        const body = widget(fresh('w'), { tags: [null] })
        expect((await client.request('POST', widgets, { body })).status).toBe(422)
      })

      test('a transition rule allows the first value and refuses a change', async () => {
        const name = fresh('w')
        await created(widgets, widget(name, { fixed: 'a' }))
        const answer = await client.request('PATCH', `${widgets}/${name}`, {
          body: { spec: { fixed: 'b' } },
          contentType: mergePatchType,
        })
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain('fixed cannot change')
      })

      test('are printed with the columns of their CRD', async () => {
        const name = fresh('w')
        await created(widgets, widget(name, { size: 3 }))
        const answer = await client.request('GET', `${widgets}/${name}`, {
          accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
        })
        expect(answer.body.kind).toBe('Table')
        expect(answer.body.columnDefinitions.map((each: { name: string }) => each.name)).toEqual([
          'Name',
          'Size',
          'Ready',
          'Age',
        ])
        expect(answer.body.rows[0].cells.slice(0, 2)).toEqual([name, 3])
        expect(answer.body.rows[0].cells[3]).toMatch(/^\d+s$/)
        expect(answer.body.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name } })
      })
    })

    crdConformance(() => client)
    creatingConformance(() => client)
    selectorConformance(() => client)

    describe('listing', () => {
      test('pages keep to the moment of the first one', async () => {
        const label = fresh('page')
        const names = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${label}-${letter}`)
        for (const name of names) await created(configMaps, configMap(name, {}, { labels: { page: label } }))
        const query = `labelSelector=page%3D${label}&limit=2`
        const first = await client.request('GET', `${configMaps}?${query}`)
        await client.request('DELETE', `${configMaps}/${names[4]}`)
        const seen = first.body.items
        let token = first.body.metadata.continue
        while (token) {
          const next = await client.request('GET', `${configMaps}?${query}&continue=${encodeURIComponent(token)}`)
          expect(next.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
          seen.push(...next.body.items)
          token = next.body.metadata.continue
        }
        expect(seen.map((each: { metadata: { name: string } }) => each.metadata.name)).toEqual(names)
      })

      test('selects by labels and by fields', async () => {
        const label = fresh('sel')
        await created(configMaps, configMap(`${label}-1`, {}, { labels: { group: label, tier: 'web' } }))
        await created(configMaps, configMap(`${label}-2`, {}, { labels: { group: label, tier: 'db' } }))
        await created(configMaps, configMap(`${label}-3`, {}, { labels: { group: label } }))
        const select = async (query: string) => {
          const answer = await client.request('GET', `${configMaps}?${query}`)
          return answer.body.items.map((each: { metadata: { name: string } }) => each.metadata.name.slice(-1)).join('')
        }
        const by = (selector: string) => select(`labelSelector=${encodeURIComponent(`group=${label},${selector}`)}`)
        expect(await by('tier in (web,db)')).toBe('12')
        expect(await by('tier notin (web)')).toBe('23')
        expect(await by('tier!=web')).toBe('23')
        expect(await by('!tier')).toBe('3')
        expect(await by('tier')).toBe('12')
        expect(await select(`fieldSelector=metadata.name%3D${label}-2`)).toBe('2')
        const unknown = await client.request('GET', `${configMaps}?fieldSelector=data.x%3D1`)
        expect(unknown.status).toBe(400)
      })
    })

    describe('watching', () => {
      test('resumes after a resourceVersion with every change since, in order', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name, { a: '1' }))
        await client.request('PATCH', `${configMaps}/${name}`, {
          body: { data: { a: '2' } },
          contentType: mergePatchType,
        })
        await client.request('DELETE', `${configMaps}/${name}`)
        const events = await client.watch(
          `${configMaps}?watch=true&fieldSelector=metadata.name%3D${name}&resourceVersion=${first.metadata.resourceVersion}&timeoutSeconds=5`,
          (seen) => seen.length >= 2,
        )
        expect(events.map((event) => event.type)).toEqual(['MODIFIED', 'DELETED'])
        expect(events[0]?.object.data).toEqual({ a: '2' })
        const versions = events.map((event) => Number(event.object.metadata.resourceVersion))
        expect(versions[1]).toBeGreaterThan(versions[0] ?? 0)
      })

      test('leaving the selection is a deletion, entering it an addition', async () => {
        const name = fresh('cm')
        const first = await created(configMaps, configMap(name))
        const label = (value: string | null) =>
          client.request('PATCH', `${configMaps}/${name}`, {
            body: { metadata: { labels: { [name]: value } } },
            contentType: mergePatchType,
          })
        await label('yes')
        await label(null)
        const events = await client.watch(
          `${configMaps}?watch=true&labelSelector=${name}%3Dyes&resourceVersion=${first.metadata.resourceVersion}&timeoutSeconds=5`,
          (seen) => seen.length >= 2,
        )
        expect(events.map((event) => event.type)).toEqual(['ADDED', 'DELETED'])
      })

      test('initial events end with a marked bookmark when asked for', async (context) => {
        const name = fresh('cm')
        await created(configMaps, configMap(name))
        const events = await client.watch(
          `${configMaps}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=&timeoutSeconds=10`,
          (seen) => seen.at(-1)?.type === 'BOOKMARK' || seen.at(-1)?.type === 'ERROR',
        )
        if (String(events[0]?.object.message).includes('RequestWatchProgress is disabled')) {
          context.skip('the etcd behind this API server is too old for it')
        }
        expect(events.at(-1)?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
        expect(events.slice(0, -1).every((event) => event.type === 'ADDED')).toBe(true)
        expect(events.some((event) => event.object.metadata.name === name)).toBe(true)
      })

      test('ends after timeoutSeconds', async () => {
        const { metadata } = await created(configMaps, configMap(fresh('cm')))
        const events = await client.watch(
          `${configMaps}?watch=true&fieldSelector=metadata.name%3Dnone&timeoutSeconds=1&resourceVersion=${metadata.resourceVersion}`,
          () => false,
        )
        expect(events.filter((event) => event.type !== 'BOOKMARK')).toEqual([])
      })

      test('from a version that is too old says 410 in an ERROR event', async () => {
        if (!server.expire) return
        const object = await created(configMaps, configMap(fresh('cm')))
        await created(configMaps, configMap(fresh('cm')))
        server.expire()
        const events = await client.watch(
          `${configMaps}?watch=true&resourceVersion=${object.metadata.resourceVersion}&timeoutSeconds=5`,
          (seen) => seen.length > 0,
        )
        expect(events[0]).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })
      })
    })

    describe('server-side apply', () => {
      const apply = (path: string, manager: string, body: unknown, force = false) =>
        client.request('PATCH', `${path}?fieldManager=${manager}&force=${force}`, { body, contentType: applyPatchType })

      test('creates, owns, and removes what it no longer names', async () => {
        const name = fresh('cm')
        const path = `${configMaps}/${name}`
        const first = await apply(path, 'one', configMap(name, { a: '1', b: '2' }))
        expect(first.status).toBe(201)
        expect(first.body.metadata.managedFields).toMatchObject([
          {
            manager: 'one',
            operation: 'Apply',
            apiVersion: 'v1',
            fieldsType: 'FieldsV1',
            fieldsV1: { 'f:data': { 'f:a': {}, 'f:b': {} } },
          },
        ])
        const second = await apply(path, 'one', configMap(name, { a: '1' }))
        expect(second.status).toBe(200)
        expect(second.body.data).toEqual({ a: '1' })
      })

      test("refuses to change another's field, names it, and takes it when forced", async () => {
        const name = fresh('cm')
        const path = `${configMaps}/${name}`
        await apply(path, 'one', configMap(name, { a: '1' }))
        const refused = await apply(path, 'two', configMap(name, { a: '2' }))
        expect(refused.status).toBe(409)
        expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "one": .data.a')
        expect(refused.body.details.causes).toEqual([
          { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
        ])
        const forced = await apply(path, 'two', configMap(name, { a: '2' }), true)
        expect(forced.body.data).toEqual({ a: '2' })
        expect(forced.body.metadata.managedFields.map((each: { manager: string }) => each.manager)).toEqual(['two'])
      })

      test('shares a field that is applied with the same value, and keeps it until the last owner lets go', async () => {
        const name = fresh('cm')
        const path = `${configMaps}/${name}`
        await apply(path, 'one', configMap(name, { a: '1' }))
        expect((await apply(path, 'two', configMap(name, { a: '1' }))).status).toBe(200)
        expect((await apply(path, 'one', configMap(name, {}))).body.data).toEqual({ a: '1' })
        const last = await apply(path, 'two', configMap(name, { b: '1' }))
        expect(last.body.data).toEqual({ b: '1' })
      })

      test('an ordinary update takes fields without asking and is named in managedFields', async () => {
        const name = fresh('w')
        const path = `${widgets}/${name}`
        await apply(path, 'git', widget(name, { steps: [{ weight: 90 }, { weight: 10 }] }))
        const patched = await client.request('PATCH', `${path}?fieldManager=someone`, {
          body: [{ op: 'replace', path: '/spec/steps/1/weight', value: 50 }],
          contentType: jsonPatchType,
        })
        const managers = patched.body.metadata.managedFields
        // The list is atomic: who writes one weight owns all of it.
        const owners = managers.filter(
          (each: { fieldsV1: Record<string, Record<string, unknown>> }) => each.fieldsV1['f:spec']?.['f:steps'],
        )
        expect(owners).toMatchObject([
          { manager: 'someone', operation: 'Update', apiVersion: 'conformance.example.com/v1' },
        ])
        const back = await apply(path, 'git', widget(name, { steps: [{ weight: 90 }, { weight: 10 }] }))
        expect(back.status).toBe(409)
        expect(back.body.message).toContain('"someone" using conformance.example.com/v1')
        expect(back.body.message).toContain('.spec.steps')
      })

      test('names the maps and lists a writer brought, but not the structs that are always there', async () => {
        const { metadata } = await created(deployments, {
          ...deployment(fresh('web')),
          spec: {
            selector: { matchLabels: { app: 'x' } },
            template: {
              metadata: { labels: { app: 'x' } },
              spec: {
                nodeSelector: { a: 'b' },
                containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 1 }] }],
              },
            },
          },
        })
        const container = {
          '.': {},
          'f:image': {},
          'f:imagePullPolicy': {},
          'f:name': {},
          'f:ports': {
            '.': {},
            'k:{"containerPort":1,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
          },
          'f:resources': {},
          'f:terminationMessagePath': {},
          'f:terminationMessagePolicy': {},
        }
        expect(metadata.managedFields[0].fieldsV1['f:spec']).toMatchObject({
          'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {}, 'f:maxUnavailable': {} }, 'f:type': {} },
          'f:template': {
            'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
            'f:spec': { 'f:containers': { 'k:{"name":"web"}': container }, 'f:nodeSelector': {} },
          },
        })
        expect(metadata.managedFields[0].fieldsV1['f:spec']).not.toHaveProperty(['f:template', '.'])
      })

      test('merges keyed lists by key and sets by value', async () => {
        const name = fresh('w')
        const path = `${widgets}/${name}`
        await apply(path, 'one', widget(name, { parts: [{ name: 'a', count: 1 }], tags: ['x'] }))
        const body = { ...widget(name), spec: { parts: [{ name: 'b', count: 2 }], tags: ['y'] } }
        const both = await apply(path, 'two', body)
        expect(both.status).toBe(200)
        expect(both.body.spec.parts).toEqual([
          { name: 'a', count: 1 },
          { name: 'b', count: 2 },
        ])
        expect(both.body.spec.tags).toEqual(['x', 'y'])
        const without = await apply(path, 'one', widget(name, { tags: [] }))
        expect(without.body.spec.parts).toEqual([{ name: 'b', count: 2 }])
        expect(without.body.spec.tags).toEqual(['y'])
      })

      test('names the subresource through which a status was written', async () => {
        const name = fresh('w')
        await created(widgets, widget(name))
        const path = `${widgets}/${name}/status?fieldManager=reporter`
        const answer = await client.request('PATCH', path, {
          body: { status: { size: 1 } },
          contentType: mergePatchType,
        })
        expect(answer.body.metadata.managedFields).toContainEqual(
          expect.objectContaining({ manager: 'reporter', operation: 'Update', subresource: 'status' }),
        )
      })

      test('needs a field manager', async () => {
        const name = fresh('cm')
        const answer = await client.request('PATCH', `${configMaps}/${name}`, {
          body: configMap(name),
          contentType: applyPatchType,
        })
        expect(answer.status).toBe(422)
        expect(answer.body.message).toContain('fieldManager: Required value')
      })
    })

    describe('deleting', () => {
      test('waits for finalizers, and allows no new ones meanwhile', async () => {
        const name = fresh('cm')
        const path = `${configMaps}/${name}`
        await created(configMaps, configMap(name, {}, { finalizers: ['example.com/hold'] }))
        const answer = await client.request('DELETE', path)
        expect(answer.body.metadata.deletionTimestamp).toBeTruthy()
        const more = await client.request('PATCH', path, {
          body: { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } },
          contentType: mergePatchType,
        })
        expect(more.status).toBe(422)
        await client.request('PATCH', path, { body: { metadata: { finalizers: [] } }, contentType: mergePatchType })
        expect((await client.request('GET', path)).status).toBe(404)
      })

      test('answers what is not there in the usual words', async () => {
        const answer = await client.request('DELETE', `${deployments}/nobody`)
        expect(answer.status).toBe(404)
        expect(answer.body).toMatchObject({ reason: 'NotFound', message: 'deployments.apps "nobody" not found' })
      })

      test('a collection is deleted by selector', async () => {
        const label = fresh('many')
        for (const suffix of ['a', 'b'])
          await created(configMaps, configMap(`${label}-${suffix}`, {}, { labels: { many: label } }))
        await created(configMaps, configMap(`${label}-c`))
        await client.request('DELETE', `${configMaps}?labelSelector=many%3D${label}`)
        expect((await client.request('GET', `${configMaps}/${label}-a`)).status).toBe(404)
        expect((await client.request('GET', `${configMaps}/${label}-c`)).status).toBe(200)
      })

      test('owners take their dependents with them, unless orphaned', async () => {
        if (!server.controllers) return
        const gone = async (name: string) => (await client.request('GET', `${configMaps}/${name}`)).status === 404
        const owned = (name: string, owner: { metadata: { name: string; uid: string } }) =>
          configMap(
            name,
            {},
            {
              ownerReferences: [
                { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid },
              ],
            },
          )
        const name = fresh('owner')
        const first = await created(configMaps, configMap(`${name}-1`))
        const second = await created(configMaps, configMap(`${name}-2`))
        await created(configMaps, owned(`${name}-1-child`, first))
        await created(configMaps, owned(`${name}-2-child`, second))
        await client.request('DELETE', `${configMaps}/${name}-1`)
        await client.request('DELETE', `${configMaps}/${name}-2?propagationPolicy=Orphan`)
        await expect.poll(() => gone(`${name}-1-child`), { timeout: 20_000 }).toBe(true)
        await expect.poll(() => gone(`${name}-2`), { timeout: 20_000 }).toBe(true)
        const orphan = await client.request('GET', `${configMaps}/${name}-2-child`)
        expect(orphan.status).toBe(200)
        expect(orphan.body.metadata.ownerReferences).toBeUndefined()
      })

      test('a namespace goes when it is empty, and takes nothing new meanwhile', async () => {
        if (!server.controllers) return
        const name = fresh('ns')
        await created('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
        const inside = `/api/v1/namespaces/${name}/configmaps`
        await created(inside, configMap('held', {}, { finalizers: ['example.com/hold'] }))
        await client.request('DELETE', `/api/v1/namespaces/${name}`)
        const refused = await client.request('POST', inside, { body: configMap('late') })
        expect(refused.status).toBe(403)
        expect(refused.body.message).toContain('because it is being terminated')
        await client.request('PATCH', `${inside}/held`, {
          body: { metadata: { finalizers: null } },
          contentType: mergePatchType,
        })
        const status = async () => (await client.request('GET', `/api/v1/namespaces/${name}`)).status
        await expect.poll(status, { timeout: 20_000 }).toBe(404)
      })
    })

    describe('requests that make no sense', () => {
      test.each([
        ['GET', '/apis/apps/v1/namespaces/default/things', 404],
        ['GET', '/apis/apps/v9/namespaces/default/deployments', 404],
        ['GET', '/api/v1/namespaces/default/deployments', 404],
        ['GET', '/api/v1/namespaces/default/pods/x/nothing', 404],
        ['PUT', configMaps, 405],
        ['PATCH', configMaps, 405],
        ['POST', `${configMaps}/x`, 405],
        ['GET', `${configMaps}?limit=many`, 400],
        ['GET', `${configMaps}?labelSelector=${encodeURIComponent('a in b')}`, 400],
      ])('%s %s answers %i', async (method, path, status) => {
        const body = method === 'GET' ? undefined : configMap('x')
        const answer = await client.request(method, path, {
          body,
          contentType: method === 'PATCH' ? mergePatchType : 'application/json',
        })
        expect(answer.status).toBe(status)
        expect(answer.body).toMatchObject({ kind: 'Status', status: 'Failure', code: status })
      })

      test.each([
        '/nothing',
        '/apis/nowhere.example.com',
        '/apis/nowhere.example.com/v1/things',
        '/apis/conformance.example.com/v1/namespaces/default/things',
        '/apis/conformance.example.com/v9/namespaces/default/widgets',
      ])('%s is nobody’s: 404 as plain text', async (path) => {
        const answer = await client.request('GET', path)
        expect(answer.status).toBe(404)
        expect(answer.headers['content-type']).toContain('text/plain')
      })

      test('options that do not exist are refused before anything happens', async () => {
        const name = fresh('cm')
        await created(configMaps, configMap(name))
        const policy = await client.request('DELETE', `${configMaps}/${name}?propagationPolicy=Sideways`)
        expect(policy.status).toBe(422)
        expect(policy.body.message).toContain('propagationPolicy: Unsupported value: "Sideways"')
        expect((await client.request('GET', `${configMaps}?resourceVersionMatch=Exact`)).status).toBe(422)
        const patch = { body: {}, contentType: 'application/json' }
        expect((await client.request('PATCH', `${configMaps}/${name}`, patch)).status).toBe(415)
        expect((await client.request('GET', `${configMaps}/${name}`)).status).toBe(200)
      })

      test('a broken body, an object of another kind and another name are refused', async () => {
        const name = fresh('cm')
        await created(configMaps, configMap(name))
        expect((await client.request('POST', configMaps, { body: '{"kind"' })).status).toBe(400)
        expect((await client.request('POST', configMaps, { body: deployment('x') })).status).toBe(400)
        expect((await client.request('PUT', `${configMaps}/${name}`, { body: configMap('another') })).status).toBe(400)
      })
    })

    describe('discovery', () => {
      test('lists resources with their names, scopes and subresources', async () => {
        const answer = await client.request('GET', '/apis/conformance.example.com/v1')
        expect(answer.body.resources).toContainEqual(
          expect.objectContaining({
            name: 'widgets',
            singularName: 'widget',
            kind: 'Widget',
            namespaced: true,
            shortNames: ['wd'],
            categories: ['things'],
          }),
        )
        expect(answer.body.resources.map((each: { name: string }) => each.name)).toEqual(
          expect.arrayContaining(['widgets/status', 'widgets/scale']),
        )
      })

      test('aggregates all groups in one answer', async () => {
        const answer = await client.request('GET', '/apis', {
          accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json',
        })
        expect(answer.body.kind).toBe('APIGroupDiscoveryList')
        const groups = answer.body.items.map((each: { metadata: { name: string } }) => each.metadata.name)
        expect(groups).toEqual(expect.arrayContaining(['apps', 'conformance.example.com']))
      })

      test('describes kinds in OpenAPI v3', async () => {
        const document = await client.request('GET', '/openapi/v3/apis/conformance.example.com/v1')
        const schema = document.body.components.schemas['com.example.conformance.v1.Widget']
        expect(schema.properties.spec.properties.size.type).toBe('integer')
        expect(schema['x-kubernetes-group-version-kind']).toEqual([
          { group: 'conformance.example.com', version: 'v1', kind: 'Widget' },
        ])
      })
    })
  })
}
