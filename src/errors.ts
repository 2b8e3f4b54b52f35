/**
 * The one table of everything that can be wrong for a user of Sluice: the code is the reason in conditions and events,
 * `fix` says what to do about it, and docs/errors.md is generated from here.
 */
export const errors = {
  InvalidSpec: { fix: 'Correct the named field; Sluice goes on by itself when it is right.' },
  NotYet: { fix: 'Leave the field out; this version of Sluice does not do it yet.' },
  Conflict: { fix: 'Let one Rollout own it; remove or change the younger one.' },
  NotAKubeconfig: {
    fix: 'Pass a kubeconfig file with --kubeconfig or KUBECONFIG (kubectl config view --raw prints one).',
  },
  ApiUnreachable: { fix: 'Check that the API server of the kubeconfig is running and reachable from here.' },
  Unauthorized: { fix: 'Log in again, or choose another user or cluster with --context.' },
  Forbidden: { fix: 'Grant the missing permission; deploy/ has the roles that Sluice needs.' },
  CrdsMissing: { fix: 'Install them: sluice crds | kubectl apply -f -' },
  RolloutMissing: { fix: 'Name one that exists; sluice get -A lists them all.' },
  NothingToDecide: { fix: 'Look at what it waits for: sluice describe.' },
  DecisionClosed: { fix: 'Look whether it is asked again: sluice describe.' },
  DecisionRefused: { fix: 'Correct what the API server names; docs/approvals.md says what a decision looks like.' },
  OverrideForbidden: { fix: 'Ask somebody who may, or have the role sluice-override bound: docs/approvals.md.' },
  DigestChanged: { fix: 'Look at the question as it is now: sluice describe.' },
  RequestFailed: { fix: 'Look at what is being rolled out: sluice describe.' },
  NoAnswer: {
    fix: 'Check that sluice controller runs and watches this namespace; it acts on the request when it is back.',
  },
  VirtualServiceMissing: { fix: 'Create the VirtualService, or correct spec.traffic.istio.virtualService.name.' },
  RouteMissing: { fix: 'Name an existing route in spec.traffic.istio.virtualService.routes.' },
  RouteAmbiguous: { fix: 'Name the route that Sluice should own in spec.traffic.istio.virtualService.routes.' },
  RouteDelegates: { fix: 'Name the VirtualService that holds the route, not the one that delegates to it.' },
  DestinationMissing: { fix: 'Add a destination for the subset to the route, with weight 0.' },
  DestinationAmbiguous: { fix: 'Keep one destination for each of the two versions in the route.' },
  WeightsTooCoarse: { fix: 'Let the two weights sum to 100, so that every step can be written.' },
  WeightsZero: { fix: 'Give the two destinations weights that sum to more than 0, for example 100 and 0.' },
  DestinationRuleMissing: { fix: 'Create the DestinationRule, or correct spec.traffic.istio.destinationRule.name.' },
  SubsetMissing: { fix: 'Add the subset to the DestinationRule, or correct spec.workload.subsets.desired.' },
  WorkloadMissing: { fix: 'Create a Deployment whose pods carry the labels of the subset.' },
  StableUnknown: { fix: 'Say which subset is stable in spec.workload.subsets.initialStable.' },
  PrometheusMissing: { fix: 'Give the controller --prometheus URL, or the Rollout spec.analysis.prometheus.url.' },
  PrometheusUnreachable: { fix: 'Check the URL of Prometheus and that it is running; Sluice keeps asking.' },
  PrometheusBadAnswer: { fix: 'Point the URL at the base of the Prometheus HTTP API (the path before /api/v1).' },
  PrometheusQueryRefused: { fix: 'Correct the query; the message of Prometheus says where.' },
  ThresholdNotABucket: { fix: 'Choose one of the bounds that exist as the latency threshold.' },
  NoSamples: { fix: 'Check that Prometheus scrapes the mesh’s metrics for this workload and that traffic flows.' },
  StaleSamples: { fix: 'Check the scrape targets, or raise maxSampleAge to at least 1.5 scrape intervals.' },
  SourceMissing: { fix: 'Create the RolloutSource, or correct spec.source.' },
  SourceNotAllowed: { fix: 'Add the namespace to allowedNamespaces of the RolloutSource.' },
  HistoryUnreadable: {
    fix: 'Pass --repo with a clone, or a URL that your own git can read, and --branch where it is not the default one.',
  },
  GitUnreachable: { fix: 'Check the URL, the network and the remote; Sluice keeps trying.' },
  GitAuth: { fix: 'Check the Secret named in secretRef: username and password, or identity, for this repository.' },
  GitSigningKey: {
    fix: 'Put an SSH private key without a passphrase under identity into the Secret of write.signingKeyRef; what waits is committed then.',
  },
  GitBranchMissing: { fix: 'Create the branch, or correct spec.branch.' },
  GitPathMissing: { fix: 'Create the folder, or correct spec.path.' },
  GitProtected: { fix: 'Allow this author to push to the branch, or use write.mode PullRequest.' },
  GitConflict: { fix: 'Put the weight back, or resume to go on from it: sluice resume.' },
  GitRefusedEdit: { fix: 'Write the named field as a plain scalar in one place, so that it can be edited exactly.' },
  GitOtherCluster: { fix: 'Give each cluster a path of its own, or start once with --take-over after a rebuild.' },
  ForgeUnreachable: { fix: 'Check spec.write.pullRequest.apiUrl, the network and the forge; Sluice keeps trying.' },
  ForgeAuth: {
    fix: 'Check the token of spec.write.pullRequest.secretRef: its rights and when it expires; docs/pull-requests.md lists them.',
  },
  ForgeRefused: { fix: 'The message of the forge says why; docs/pull-requests.md has the settings that are needed.' },
  PullRequestDeclined: { fix: 'Merge it after all, or leave Git as it is; the next outcome is proposed anew.' },
  ManifestInvalid: { fix: 'Correct the named line; everything else in the repository is applied.' },
  ManifestRefused: { fix: 'The API server’s message says what is wrong with the object.' },
  KnownBad: { fix: 'Change its content, or try it again: sluice retry.' },
  WeightContested: { fix: 'Stop the other writer from setting the weights, then resume: sluice resume.' },
  NoReadyPods: { fix: 'Look at the pods of the canary.' },
  StableLabelsMissing: {
    fix: 'Add the label to the pod template of the Deployment, so that the stable subset selects it.',
  },
  SubsetsOverlap: { fix: 'Give the two subsets different values of one label.' },
  ServiceExcludesCanary: { fix: 'Let the Service select only labels that stable and canary pods share.' },
  AutoscalerOverlap: {
    fix: 'Either put the label by which the subsets differ into the selector of the Deployment (a new one: selectors cannot change), or send canary traffic to a Service of its own (traffic.istio.services).',
  },
  CanaryNameTaken: { fix: 'Rename or remove that Deployment; Sluice needs the name for the canary.' },
  CanaryRefused: { fix: 'The API server’s message says what is wrong with the copy of the Deployment.' },
  TemplateGone: {
    fix: 'Put the pod template of that version back in Git, and keep a revisionHistoryLimit of at least 2.',
  },
  LatchMissing: { fix: 'Install the admission policies in deploy/, or use latch: Pause.' },
  RequestVoid: { fix: 'Look at the Rollout again and repeat the request for the current revision.' },
  SlackSignature: { fix: 'Check the Slack signing secret.' },
  NotAllowed: { fix: 'Ask somebody who is named in approval.from.' },
  ListenFailed: { fix: 'Pass a free address as HOST:PORT to --listen, for example 0.0.0.0:8080.' },
  Internal: { fix: 'This is a bug in Sluice; please report it with the log line.' },
} as const satisfies Record<string, { fix: string }>

export type ErrorCode = keyof typeof errors

/** What is wrong, where, and (through the table) what to do: an expected outcome, returned rather than thrown. */
export interface Problem {
  reason: ErrorCode
  /** One sentence without a final full stop: what is wrong. */
  message: string
  /** Dotted path of the field, when a field is to blame. */
  field?: string
  /** Where in a file, when a file is to blame. */
  file?: string
  line?: number
}

/** A problem as one line for people: place, what is wrong, what to do. */
export function sentence(problem: Problem): string {
  const place = problem.file
    ? `${problem.file}${problem.line ? `:${problem.line}` : ''}: `
    : problem.field && !problem.message.includes(problem.field)
      ? `${problem.field}: `
      : ''
  return `${place}${problem.message}. ${errors[problem.reason].fix}`
}

/** A problem that ends the current operation; the CLI prints its sentence, the controller records it. */
export class SluiceError extends Error {
  readonly problem: Problem
  constructor(problem: Problem, options?: ErrorOptions) {
    super(sentence(problem), options)
    this.name = 'SluiceError'
    this.problem = problem
  }
}
