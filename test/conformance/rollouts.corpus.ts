/** Why a Rollout is refused, by whom. */
export interface BadRollout {
  spec: unknown
  /** A part of what the API server says; absent where only Sluice can know, once the object is stored. */
  server?: string
  /** A part of the Problem that Sluice reports. */
  sluice: string
}

const workload = { subsets: { desired: 'v2' } }
const traffic = { istio: { virtualService: { name: 'checkout' } } }
const shortest = { workload, traffic }
const withStep = (step: object) => ({ ...shortest, steps: [step, { weight: 100 }] })
const withAnalysis = (analysis: object) => ({ ...shortest, analysis })
const withSli = (sli: object) => withAnalysis({ slis: [{ name: 'a', ...sli }] })
const scalar = { file: 'a.yaml', path: 'image.tag' }
const withValues = (values: object, released: object = workload) => ({
  workload: released,
  traffic,
  source: { name: 'config', values },
})
const approval = { from: ['user:dana@example.com'] }

/** Specs that both the API server and Sluice take. */
export const goodRollouts: Record<string, unknown> = {
  'the shortest': shortest,
  'a first stable subset': { ...shortest, workload: { subsets: { desired: 'v2', initialStable: 'v1' } } },
  'named routes and a DestinationRule': {
    workload,
    traffic: { istio: { virtualService: { name: 'checkout', routes: ['a', 'b'] }, destinationRule: { name: 'c' } } },
  },
  'one step': { ...shortest, steps: [{ weight: 100 }] },
  'twenty steps': {
    ...shortest,
    steps: Array.from({ length: 20 }, (_, i) => ({ weight: (i + 1) * 5, hold: `${i}s` })),
  },
  'an approval': withStep({ weight: 5, approval }),
  'an approval in full': withStep({
    weight: 5,
    approval: { ...approval, required: 2, expires: '1h30m', onExpiry: 'Hold', separationOfDuties: true },
  }),
  'every kind of SLI': withAnalysis({
    interval: '1s',
    slis: [
      { name: 'ok', successRate: { objective: 99.95 } },
      { name: 'fast', latency: { objective: 99, threshold: '250ms' } },
      { name: 'depth', query: { promql: 'max(depth)', max: 100 } },
      { name: 'temperature', query: { promql: 'avg(t)', min: -3.5, max: 40, failureLimit: 1 } },
    ],
  }),
  'no requests needed': withAnalysis({ minRequests: 0, onInsufficientData: { do: 'Proceed' } }),
  'a Prometheus of its own': withAnalysis({ prometheus: { url: 'https://p.example.com', secretRef: { name: 's' } } }),
  windows: {
    ...shortest,
    windows: [
      { allow: '0 9 * * 1-5', for: '8h', timezone: 'Europe/London' },
      { deny: '0 0 20 12 *', for: '14d' },
    ],
  },
  'a source': { ...shortest, source: { name: 'config', namespace: 'delivery' } },
  'values of a subset': { ...shortest, source: { name: 'config', values: { desired: scalar } } },
  'values of a Deployment': {
    workload: { deployment: { name: 'checkout' } },
    traffic,
    source: {
      name: 'config',
      values: {
        images: [{ container: 'app', ...scalar }],
        weights: { file: 'a.yaml', stable: 'stable', canary: 'canary' },
      },
    },
  },
  suspended: { ...shortest, suspend: true },
  'nulls, which are no values': { ...shortest, steps: null, suspend: null },
  'something unheard of, which is dropped': { ...shortest, unheardOf: 1, workload: { ...workload, also: true } },
}

/** Specs that cannot work, and who says so. */
export const badRollouts: Record<string, BadRollout> = {
  'no workload': { spec: { traffic }, server: 'spec.workload: Required value', sluice: 'spec.workload' },
  'no traffic': { spec: { workload }, server: 'spec.traffic: Required value', sluice: 'spec.traffic' },
  'an empty workload': {
    spec: { workload: {}, traffic },
    server: 'name exactly one of subsets and deployment',
    sluice: 'name exactly one of subsets and deployment',
  },
  'two workloads': {
    spec: { workload: { ...workload, deployment: { name: 'a' } }, traffic },
    server: 'name exactly one of subsets and deployment',
    sluice: 'name exactly one of subsets and deployment',
  },
  'two meshes': {
    spec: { workload, traffic: { ...traffic, linkerd: { service: 'a', httpRoute: 'a' } } },
    server: 'name exactly one of istio, linkerd and gatewayAPI',
    sluice: 'name exactly one of istio, linkerd and gatewayAPI',
  },
  'no mesh': {
    spec: { workload, traffic: {} },
    server: 'name exactly one of istio, linkerd and gatewayAPI',
    sluice: 'name exactly one of istio, linkerd and gatewayAPI',
  },
  'a name that is none': {
    spec: { workload, traffic: { istio: { virtualService: { name: 'No_Name' } } } },
    server: 'spec.traffic.istio.virtualService.name in body should match',
    sluice: 'spec.traffic.istio.virtualService.name must be a Kubernetes name',
  },
  'an empty subset': {
    spec: { workload: { subsets: { desired: '' } }, traffic },
    server: 'spec.workload.subsets.desired in body should be at least 1 chars long',
    sluice: 'spec.workload.subsets.desired',
  },
  'images of a subset': {
    spec: withValues({ images: [{ container: 'app', ...scalar }] }),
    server: 'spec.source.values.images: Invalid value',
    sluice: 'spec.source.values.images is for Deployments: with workload.subsets name values.desired',
  },
  'weights of two subsets': {
    spec: withValues({ weights: { file: 'a.yaml', stable: 'stable', canary: 'canary' } }),
    server: 'write the weights in the VirtualService',
    sluice: 'spec.source.values.weights is for Deployments',
  },
  'a desired subset of a Deployment': {
    spec: withValues({ desired: scalar }, { deployment: { name: 'checkout' } }),
    server: 'is for subsets: with workload.deployment name values.images',
    sluice: 'spec.source.values.desired is for subsets',
  },
  'no steps': {
    spec: { ...shortest, steps: [] },
    server: 'spec.steps in body should have at least 1 items',
    sluice: 'spec.steps',
  },
  'too many steps': {
    spec: { ...shortest, steps: Array.from({ length: 21 }, (_, i) => ({ weight: i + 80 })) },
    server: 'spec.steps: Too many: 21: must have at most 20 items',
    sluice: 'spec.steps',
  },
  'steps that go down': {
    spec: { ...shortest, steps: [{ weight: 50 }, { weight: 10 }, { weight: 100 }] },
    server: 'weights must rise from step to step',
    sluice: 'weights must rise from step to step',
  },
  'steps that stand still': {
    spec: { ...shortest, steps: [{ weight: 50 }, { weight: 50 }, { weight: 100 }] },
    server: 'weights must rise from step to step',
    sluice: 'weights must rise from step to step',
  },
  'steps that do not end in 100': {
    spec: { ...shortest, steps: [{ weight: 10 }] },
    server: 'the last step must have weight 100',
    sluice: 'the last step must have weight 100',
  },
  'a weight of 0': {
    spec: withStep({ weight: 0 }),
    server: 'spec.steps[0].weight in body should be greater than or equal to 1',
    sluice: 'spec.steps[0].weight',
  },
  'a weight of 101': {
    spec: { ...shortest, steps: [{ weight: 101 }] },
    server: 'spec.steps[0].weight in body should be less than or equal to 100',
    sluice: 'spec.steps[0].weight',
  },
  'half a percent': {
    spec: withStep({ weight: 0.5 }),
    server: 'spec.steps[0].weight in body must be of type integer: "number"',
    sluice: 'spec.steps[0].weight',
  },
  'a weight in words': {
    spec: withStep({ weight: '10%' }),
    server: 'spec.steps[0].weight in body must be of type integer: "string"',
    sluice: 'spec.steps[0].weight',
  },
  'a hold that is no duration': {
    spec: withStep({ weight: 10, hold: 'soon' }),
    server: 'spec.steps[0].hold in body should match',
    sluice: 'spec.steps[0].hold must be a duration',
  },
  'a hold as a number': {
    spec: withStep({ weight: 10, hold: 300 }),
    server: 'spec.steps[0].hold in body must be of type string: "integer"',
    sluice: 'spec.steps[0].hold',
  },
  'an approval by nobody': {
    spec: withStep({ weight: 10, approval: { from: [] } }),
    server: 'spec.steps[0].approval.from in body should have at least 1 items',
    sluice: 'spec.steps[0].approval.from',
  },
  'an approval from it is not said whom': {
    spec: withStep({ weight: 10, approval: {} }),
    server: 'spec.steps[0].approval.from: Required value',
    sluice: 'spec.steps[0].approval.from',
  },
  'an approver of no channel': {
    spec: withStep({ weight: 10, approval: { from: ['dana'] } }),
    server: 'spec.steps[0].approval.from[0] in body should match',
    sluice: 'spec.steps[0].approval.from[0] must be user:',
  },
  'an unheard-of expiry': {
    spec: withStep({ weight: 10, approval: { ...approval, onExpiry: 'Approve' } }),
    server: 'spec.steps[0].approval.onExpiry: Unsupported value: "Approve": supported values: "Reject", "Hold"',
    sluice: 'spec.steps[0].approval.onExpiry',
  },
  'an objective of 100 %': {
    spec: withSli({ successRate: { objective: 100 } }),
    server: 'spec.analysis.slis[0].successRate.objective in body should be less than 100',
    sluice: 'spec.analysis.slis[0].successRate.objective',
  },
  'an SLI of two kinds': {
    spec: withSli({ successRate: { objective: 99 }, query: { promql: 'up', max: 1 } }),
    server: 'name exactly one of successRate, latency and query',
    sluice: 'name exactly one of successRate, latency and query',
  },
  'an SLI of no kind': {
    spec: withSli({}),
    server: 'name exactly one of successRate, latency and query',
    sluice: 'name exactly one of successRate, latency and query',
  },
  'a query without bounds': {
    spec: withSli({ query: { promql: 'up' } }),
    server: 'give min, max or both',
    sluice: 'give min, max or both',
  },
  'two SLIs of one name': {
    spec: withAnalysis({
      slis: [
        { name: 'a', successRate: { objective: 99 } },
        { name: 'a', successRate: { objective: 98 } },
      ],
    }),
    server: 'spec.analysis.slis[1]: Duplicate value: {"name":"a"}',
    sluice: 'names must differ',
  },
  'an SLI without a name': {
    spec: withAnalysis({ slis: [{ successRate: { objective: 99 } }] }),
    server: 'spec.analysis.slis[0].name: Required value',
    sluice: 'spec.analysis.slis[0].name',
  },
  'a window that neither allows nor denies': {
    spec: { ...shortest, windows: [{ for: '8h' }] },
    server: 'name exactly one of allow and deny',
    sluice: 'name exactly one of allow and deny',
  },
  'a Prometheus that is no URL': {
    spec: withAnalysis({ prometheus: { url: 'prometheus:9090' } }),
    server: 'spec.analysis.prometheus.url in body should match',
    sluice: 'spec.analysis.prometheus.url must start with http',
  },
  'an alpha of 0': {
    spec: withAnalysis({ alpha: 0 }),
    server: 'must be at least 0.000001',
    sluice: 'spec.analysis.alpha',
  },
  'a list where a map belongs': {
    spec: { ...shortest, analysis: [] },
    server: 'spec.analysis in body must be of type object: "array"',
    sluice: 'spec.analysis',
  },
  'a tiny alpha': {
    spec: withAnalysis({ alpha: 1e-7 }),
    server: 'spec.analysis.alpha in body should be greater than or equal to 1e-06',
    sluice: 'spec.analysis.alpha',
  },
  'a long name': {
    spec: { workload, traffic: { istio: { virtualService: { name: 'a'.repeat(300) } } } },
    server: 'spec.traffic.istio.virtualService.name: Too long: may not be more than 253 bytes',
    sluice: 'spec.traffic.istio.virtualService.name',
  },
  'null where a value belongs': {
    spec: { ...shortest, traffic: null },
    server: 'spec.traffic: Required value',
    sluice: 'spec.traffic',
  },
  'no spec': { spec: undefined, server: 'spec: Required value', sluice: 'spec' },
  'an interval of a day': {
    spec: withAnalysis({ interval: '1d' }),
    sluice: 'spec.analysis.interval must be at most 10m',
  },
  'a latency threshold of nothing': {
    spec: withSli({ latency: { objective: 99, threshold: '0s' } }),
    sluice: 'threshold must be at least 1ms',
  },
  'a window with no such minute': {
    spec: { ...shortest, windows: [{ allow: '99 9 * * 1-5', for: '8h' }] },
    sluice: 'spec.windows[0]',
  },
  'a window in no such place': {
    spec: { ...shortest, windows: [{ allow: '0 9 * * 1-5', for: '8h', timezone: 'Mars/Olympus' }] },
    sluice: 'spec.windows[0]',
  },
}
