import fc from 'fast-check'
import {
  applyPatchType,
  jsonPatchType,
  mergePatchType,
  type RequestOptions,
  strategicPatchType,
} from './apiserver.client.ts'

/** One request to either server; what only a server knows is asked for by a word and filled in when it is sent. */
export interface RandomRequest {
  method: string
  path: string
  options: RequestOptions
  /** Sends the resourceVersion the object has, or had first. */
  resourceVersion?: 'current' | 'first'
}

interface Kind {
  path: string
  apiVersion: string
  kind: string
  scale: boolean
  spec: fc.Arbitrary<Record<string, unknown>>
  status: fc.Arbitrary<unknown>
}

const some = <T = unknown>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
/** An object of which any part may be missing. */
const partial = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] })
const names = ['a', 'b']

const time = '2026-01-01T00:00:00Z'

/** Named, and without a port twice: what a real server only warns of. */
const containers = fc
  .array(
    partial({
      image: some('web:1', 'web:2', 'web'),
      env: some([{ name: 'A', value: '1' }], [{ name: 'A', value: '2' }, { name: 'B' }], [], null),
      ports: some(
        [{ containerPort: 80 }],
        [
          { containerPort: 80, protocol: 'UDP' },
          { containerPort: 81, name: 'x' },
        ],
      ),
      resources: some({}, { limits: { cpu: 1 } }, { limits: { cpu: '0.5' }, requests: { memory: '1Gi' } }),
    }),
    { minLength: 1, maxLength: 2 },
  )
  .map((list) =>
    list.map((each, index) =>
      index === 0 ? { name: 'web', ...each } : { name: 'side', ...each, ports: [{ containerPort: 90 }] },
    ),
  )

const kinds: Kind[] = [
  {
    path: '/api/v1/namespaces/NS/configmaps',
    apiVersion: 'v1',
    kind: 'ConfigMap',
    scale: false,
    spec: partial({
      data: fc.record(
        { x: some<unknown>('1', '2', '', null, 3), y: some('1', '2'), 'a b': fc.constant('bad') },
        { requiredKeys: ['y'] },
      ),
      immutable: some(true, false, null),
      binaryData: fc.constant({ z: 'AAAA' }),
    }),
    status: fc.constant({}),
  },
  {
    path: '/apis/apps/v1/namespaces/NS/deployments',
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    scale: true,
    spec: fc.record({
      spec: fc
        .record({
          base: partial({
            replicas: some(0, 1, 3, -1, null),
            paused: some(true, false),
            strategy: some({ type: 'Recreate' }, { rollingUpdate: { maxSurge: 1, maxUnavailable: '50%' } }),
            minReadySeconds: some(0, 5),
            selector: some({ matchLabels: { app: 'x' } }, { matchLabels: { app: 'y' } }, {}),
          }),
          containers,
          labels: some({ app: 'x' }, { app: 'x', v: '2' }, { app: 'x' }),
        })
        .map(({ base, containers: list, labels }) => ({
          selector: { matchLabels: { app: 'x' } },
          ...base,
          template: { metadata: { labels }, spec: { containers: list } },
        })),
    }),
    status: partial({
      replicas: some(0, 1, 2),
      observedGeneration: some(1, 2),
      conditions: some(
        [{ type: 'Available', status: 'True', lastUpdateTime: time, lastTransitionTime: time }],
        [{ type: 'Progressing', status: 'Unknown', reason: 'X', lastUpdateTime: time, lastTransitionTime: time }],
      ),
    }),
  },
  {
    path: '/apis/conformance.example.com/v1/namespaces/NS/widgets',
    apiVersion: 'conformance.example.com/v1',
    kind: 'Widget',
    scale: true,
    spec: partial({
      spec: partial({
        size: some(0, 1, 5, 11, null),
        color: some<unknown>('red', 'green', 'blue', 3, null),
        fixed: some('one', 'two'),
        limit: some(1, 5),
        port: some<unknown>(80, 'http'),
        parts: some([{ name: 'p' }], [{ name: 'p', count: 2 }, { name: 'q' }], []),
        tags: some(['a'], ['a', 'b'], ['b', 'a']),
        steps: some([{ weight: 1 }], [{ weight: 2 }, {}]),
      }),
    }),
    status: partial({ size: some(1, 2), any: some<unknown>('x', null, [1]) }),
  },
  {
    path: '/apis/sluice.dev/v1alpha1/namespaces/NS/rollouts',
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    scale: false,
    spec: partial({
      spec: fc
        .record({
          more: partial({
            steps: some([{ weight: 100 }], [{ weight: 5, hold: '1m' }, { weight: 100 }], [], null),
            suspend: some(true, false, null),
            analysis: some({}, { minRequests: 0 }, { slis: [{ name: 'ok', successRate: { objective: 99.9 } }] }),
            workload: some({ subsets: { desired: 'v3' } }, { deployment: { name: 'd' } }, {}),
            windows: some([{ allow: '0 9 * * *', for: '8h' }], []),
          }),
        })
        .map(({ more }) => ({
          workload: { subsets: { desired: 'v2' } },
          traffic: { istio: { virtualService: { name: 'checkout' } } },
          ...more,
        })),
    }),
    status: partial({ phase: some<unknown>('Healthy', 'Progressing', 5), observedGeneration: some(1, 2) }),
  },
]

const metadata = partial({
  labels: some({ l: '1' }, { l: '2', m: '' }, {}, { l: null }, { l: '-' }),
  annotations: some({ n: '1' }, { n: '2' }),
  finalizers: some(['example.com/f'], []),
})

/** Objects of a kind, most of them whole and right. */
function objectOf({ apiVersion, kind, spec }: Kind, name: string): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .record({ meta: metadata, rest: spec, named: some(true, true, true, true, false), unknown: some(0, 0, 0, 0, 0, 1) })
    .map(({ meta, rest, named, unknown }) => ({
      apiVersion,
      kind,
      metadata: { ...(named ? { name } : {}), ...meta },
      ...rest,
      ...(unknown ? { unheardOf: 1 } : {}),
    }))
}

const query = fc
  .record({
    dryRun: some('', '', '', '', 'All'),
    fieldManager: some('', 'one', 'two'),
    fieldValidation: some('', '', 'Strict', 'Ignore'),
  })
  .map((each) => new URLSearchParams(Object.entries(each).filter(([, value]) => value !== '')))

const jsonOperations = fc.array(
  fc.oneof(
    fc.record({
      op: some('add', 'replace', 'test'),
      path: some(
        '/metadata/labels/l',
        '/metadata/annotations',
        '/data/x',
        '/spec/replicas',
        '/spec/size',
        '/spec/no/way',
      ),
      value: some<unknown>('1', 2, null, {}),
    }),
    fc.record({ op: fc.constant('remove'), path: some('/metadata/labels', '/data/x', '/spec/steps', '/spec/paused') }),
  ),
  { minLength: 1, maxLength: 3 },
)

function requestOf(kind: Kind): fc.Arbitrary<RandomRequest> {
  const one = some(...names).map((name) => ({ name, path: `${kind.path}/${name}` }))
  const version = some<'current' | 'first' | undefined>('current', 'current', 'first', undefined)
  const create = one.chain(({ name }) =>
    fc.record({ body: objectOf(kind, name), query }).map((each) => write('POST', kind.path, each.query, each.body)),
  )
  const put = one.chain(({ name, path }) =>
    fc
      .record({ body: objectOf(kind, name), query, version })
      .map((each) => write('PUT', path, each.query, each.body, undefined, each.version)),
  )
  const patch = one.chain(({ name, path }) =>
    fc
      .record({
        body: objectOf(kind, name),
        query,
        version: some<'first' | undefined>(undefined, undefined, undefined, 'first'),
        media: some(mergePatchType, strategicPatchType),
      })
      .map((each) => write('PATCH', path, each.query, each.body, each.media, each.version)),
  )
  const json = fc
    .record({ one, operations: jsonOperations, query })
    .map((each) => write('PATCH', each.one.path, each.query, each.operations, jsonPatchType))
  const apply = one.chain(({ name, path }) =>
    fc.record({ body: objectOf(kind, name), query, force: some('true', 'false', '') }).map((each) => {
      const words = new URLSearchParams(each.query)
      if (each.force) words.set('force', each.force)
      return write('PATCH', path, words, each.body, applyPatchType)
    }),
  )
  // A PUT of a built-in kind's status writes some of its metadata, too, on a real server; the sandbox keeps that apart.
  const statusWrites = kind.apiVersion === 'apps/v1' ? [mergePatchType] : ['PUT', mergePatchType, applyPatchType]
  const status = one.chain(({ name, path }) =>
    fc.record({ body: kind.status, query, version, how: some(...statusWrites) }).map((each) => {
      const { apiVersion, kind: word } = kind
      const body = { apiVersion, kind: word, metadata: { name }, status: each.body }
      const method = each.how === 'PUT' ? 'PUT' : 'PATCH'
      const media = each.how === 'PUT' ? undefined : each.how
      return write(method, `${path}/status`, each.query, body, media, method === 'PUT' ? each.version : undefined)
    }),
  )
  // A real server stores a custom resource anew with every write of its scale, one that changes nothing included.
  const scaleWays = kind.apiVersion === 'apps/v1' ? ['GET', 'PUT', mergePatchType] : ['GET']
  const scale = one.chain(({ name, path }) =>
    fc
      .record({
        replicas: some<unknown>(0, 1, 4, -1, 11, '2', undefined),
        query,
        how: some(...scaleWays),
      })
      .map((each) => {
        const spec = { replicas: each.replicas }
        if (each.how === 'GET') return { method: 'GET', path: `${path}/scale`, options: {} }
        const whole = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name, namespace: 'NS' }, spec }
        return each.how === 'PUT'
          ? write('PUT', `${path}/scale`, each.query, whole)
          : write('PATCH', `${path}/scale`, each.query, { spec }, mergePatchType)
      }),
  )
  const remove = fc
    .record({
      one,
      body: some<object | undefined>(undefined, {}, { preconditions: { uid: 'x' } }, { dryRun: ['All'] }),
    })
    .map(
      (each): RandomRequest => ({
        method: 'DELETE',
        path: each.one.path,
        options: each.body ? { body: each.body } : {},
      }),
    )
  const read = fc.oneof(
    one.map(({ path }): RandomRequest => ({ method: 'GET', path, options: {} })),
    some('', '?limit=1', '?labelSelector=l%3D1', '?labelSelector=l%21%3D1', '?fieldSelector=metadata.name%3Da').map(
      (words): RandomRequest => ({ method: 'GET', path: `${kind.path}${words}`, options: {} }),
    ),
  )
  const weighted = [
    { weight: 4, arbitrary: create },
    { weight: 3, arbitrary: put },
    { weight: 4, arbitrary: patch },
    { weight: 2, arbitrary: json },
    { weight: 5, arbitrary: apply },
    { weight: 2, arbitrary: status },
    { weight: kind.scale ? 2 : 0, arbitrary: scale },
    { weight: 1, arbitrary: remove },
    { weight: 1, arbitrary: read },
  ]
  return fc.oneof(...weighted.filter(({ weight }) => weight > 0))
}

function write(
  method: string,
  path: string,
  words: URLSearchParams,
  body: unknown,
  contentType?: string,
  resourceVersion?: 'current' | 'first',
): RandomRequest {
  const options = { body, ...(contentType ? { contentType } : {}) }
  return {
    method,
    path: words.size > 0 ? `${path}?${words}` : path,
    options,
    ...(resourceVersion ? { resourceVersion } : {}),
  }
}

/** A sequence of requests to the objects of one kind; `NS` in its paths stands for a namespace of its own. */
export const randomRequests: fc.Arbitrary<RandomRequest[]> = some(...kinds).chain((kind) =>
  fc.array(requestOf(kind), { minLength: 8, maxLength: 12 }),
)
