import type { Outcome } from '../../src/api/status.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { CommitSeen, Seen, Story } from './story.ts'

/** What must not have been seen, and was. */
export interface Violation {
  /** The invariant of the design, or `End`. */
  rule:
    | 'I1'
    | 'I3'
    | 'I5'
    | 'I7'
    | 'I8'
    | 'I11'
    | 'I13'
    | 'Order'
    | 'Breach'
    | 'Pause'
    | 'Request'
    | 'Latch'
    | 'Capacity'
    | 'End'
  what: string
}

type Route = Seen & { kind: 'route' }
type Status = Seen & { kind: 'status' }

/** Holds everything that was seen of a rollout to the invariants. */
export function violationsOf(story: Story): Violation[] {
  return [
    ...weightsOnly(story),
    ...stepsInOrder(story),
    ...gitFirst(story),
    ...onceEach(story),
    ...nothingLost(story),
    ...neverAgain(story),
    ...attemptsOnce(story),
    ...approvedOnce(story),
    ...pausedStands(story),
    ...requestsOnce(story),
    ...latched(story),
    ...capacityFirst(story),
    ...rightEnd(story),
  ]
}

const routesOf = ({ seen }: Story): Route[] => seen.filter((entry) => entry.kind === 'route')
const statusesOf = ({ seen }: Story): Status[] => seen.filter((entry) => entry.kind === 'status')
const canariesOf = ({ app, attempts }: Story) => [...new Set(attempts.map(({ version }) => app.canary(version)))]

interface Raise {
  canary: string
  from: number
  to: number
  route: Route
}

/** Every time somebody gave a canary more. */
export function raisesOf(story: Story): Raise[] {
  const routes = routesOf(story)
  return routes.flatMap((route, i) =>
    canariesOf(story)
      .map((canary) => ({
        canary,
        from: routes[i - 1]?.weights[canary] ?? 0,
        to: route.weights[canary] ?? 0,
        route,
      }))
      .filter(({ from, to }) => i > 0 && to > from),
  )
}

function weightsOnly(story: Story): Violation[] {
  const routes = routesOf(story)
  const first = routes[0] && withoutWeights(routes[0].object)
  const others = routes.filter((route) => withoutWeights(route.object) !== first)
  const wrong = routes.filter(({ weights }) => {
    const shares = Object.values(weights)
    return shares.reduce((sum, share) => sum + share, 0) !== 100 || shares.filter((share) => share > 0).length > 2
  })
  return [
    ...others.map(({ at }): Violation => ({ rule: 'I1', what: `at ${at} ms more than weights changed in the route` })),
    ...wrong.map(
      ({ at, weights }): Violation => ({ rule: 'I1', what: `at ${at} ms the pair was ${JSON.stringify(weights)}` }),
    ),
  ]
}

/** A route without what Sluice may change: the weights, and what the API server keeps about writes. */
function withoutWeights(route: KubeObject): string {
  const { spec, metadata } = structuredClone(route) as KubeObject & {
    spec: { http: { route: { weight?: number }[] }[] }
  }
  for (const http of spec.http) for (const entry of http.route) delete entry.weight
  return JSON.stringify([spec, metadata.labels, metadata.annotations, metadata.ownerReferences])
}

/** Forward is to the next step, and to no other weight. */
function stepsInOrder(story: Story): Violation[] {
  return raisesOf(story)
    .filter(({ from, to }) => story.steps.find((step) => step > from) !== to)
    .map(({ from, to, route }) => ({ rule: 'Order', what: `at ${route.at} ms ${from} → ${to} is not the next step` }))
}

/** What was raised was in Git when it was raised. */
function gitFirst(story: Story): Violation[] {
  return raisesOf(story).flatMap(({ canary, to, route }): Violation[] => {
    const upTo = story.commits.findIndex((commit) => commit.sha === route.tip)
    if (upTo < 0) return [{ rule: 'I3', what: `at ${route.at} ms, ${to}: the tip ${route.tip} is not in the branch` }]
    const newest = story.commits.slice(0, upTo + 1).findLast((commit) => commit.weights !== undefined)
    const said = newest?.weights?.canary === canary ? newest.weights.weight : 0
    return said === to
      ? []
      : [{ rule: 'I3', what: `at ${route.at} ms the weight rose to ${to} while Git said ${said}` }]
  })
}

/** Nothing that matters is done twice. */
function onceEach(story: Story): Violation[] {
  const ops = story.commits.flatMap((commit) => (commit.op ? [commit.op] : []))
  const twice = new Set(ops.filter((op, i) => ops.indexOf(op) !== i))
  const outcomes = story.commits.filter((commit) => outcomeOf(commit) !== undefined)
  return [
    ...[...twice].map((op): Violation => ({ rule: 'I5', what: `the operation ${op} was committed more than once` })),
    ...(outcomes.length > story.attempts.length
      ? [
          {
            rule: 'I5',
            what: `more outcomes in Git than attempts: ${outcomes.map((c) => c.subject).join(' | ')}`,
          } satisfies Violation,
        ]
      : []),
  ]
}

/** Aborted and rolled back are one word in Git. Going back to what is desired is no outcome that Git has to be told: it said so itself. */
function outcomeOf({ op, subject }: CommitSeen): 'Promoted' | 'RolledBack' | undefined {
  if (op === undefined) return undefined
  if (/: promote /.test(subject)) return 'Promoted'
  return /: roll back /.test(subject) ? 'RolledBack' : undefined
}

/** Nobody's commit is lost, and history is never rewritten. */
function nothingLost(story: Story): Violation[] {
  const known = new Set(story.commits.map((commit) => commit.sha))
  const tips = new Set(story.seen.flatMap((entry) => ('tip' in entry && entry.tip ? [entry.tip] : [])))
  const rewritten = [...tips].filter((tip) => !known.has(tip))
  const lost = story.foreign.filter((subject) => story.commits.filter((c) => c.subject === subject).length !== 1)
  return [
    ...rewritten.map(
      (tip): Violation => ({ rule: 'I13', what: `${tip} was the tip once and is not in the history any more` }),
    ),
    ...lost.map((subject): Violation => ({ rule: 'I13', what: `the commit "${subject}" is not there exactly once` })),
  ]
}

/** A breach is final, and what is known to be bad is not tried again, until a person says so. */
function neverAgain(story: Story): Violation[] {
  const { app } = story
  const breach = new Map<string, number>()
  const bad = new Map<string, number>()
  const first = (since: Map<string, number>, version: string, at: number) => {
    if (!since.has(version)) since.set(version, at)
  }
  /** The version in flight, as recorded before anything is done about it. */
  let tried = story.attempts[0]?.version ?? ''
  let weight = 0
  const found: Violation[] = []
  for (const entry of story.seen) {
    if (entry.kind === 'request' && entry.verb === 'retry') {
      breach.clear()
      bad.clear()
    }
    if (entry.kind === 'status') {
      const { canary, analysis = [], knownBad = [] } = entry.status
      if (canary && app.versionOf(canary) !== tried) {
        tried = app.versionOf(canary)
        weight = 0
      }
      if (canary && analysis.some((sli) => sli.verdict === 'Breach')) first(breach, tried, entry.at)
      if (!isRetried(story, entry.at)) for (const mark of knownBad) first(bad, app.versionOf(mark), entry.at)
    }
    if (entry.kind !== 'route') continue
    const next = entry.weights[app.canary(tried)] ?? 0
    if (next < weight && entry.by?.startsWith('sluice-retreat.Breach')) first(breach, tried, entry.at)
    if (next > weight && bad.has(tried))
      found.push({ rule: 'I8', what: `at ${entry.at} ms ${weight} → ${next}, known bad since ${bad.get(tried)} ms` })
    else if (next > weight && breach.has(tried))
      found.push({
        rule: 'Breach',
        what: `at ${entry.at} ms ${weight} → ${next}, in breach since ${breach.get(tried)} ms`,
      })
    weight = next
  }
  return found
}

/** A status that was written before the request was heard still has the mark. */
function isRetried(story: Story, at: number): boolean {
  return story.seen.some((entry) => entry.kind === 'request' && entry.verb === 'retry' && entry.at <= at)
}

/** Neither a restart nor a commit of our own begins anything again. */
function attemptsOnce(story: Story): Violation[] {
  const made = new Set(statusesOf(story).flatMap(({ status }) => (status.attempt ? [status.attempt] : []))).size
  const wanted = story.attempts.length
  return made > wanted ? [{ rule: 'I7', what: `${made} attempts were made where ${wanted} were wanted` }] : []
}

/** A gated step is entered with an approved question of its own, no question opens a gate twice, and nobody counts twice. */
function approvedOnce(story: Story): Violation[] {
  return story.gated.flatMap((number): Violation[] => {
    const weight = story.steps[number - 1]
    const raises = raisesOf(story).filter(({ to }) => to === weight)
    const questions = story.seen.filter((entry) => entry.kind === 'approval').filter((entry) => entry.step === number)
    const approved = new Set(
      questions.flatMap(({ name, state }) => (state === 'Approved' || state === 'Consumed' ? [name] : [])),
    )
    const twice = questions.filter(({ decisions }) => decisions > 1)
    if (raises.length > approved.size)
      return [{ rule: 'I11', what: `step ${number} was entered ${raises.length} times on ${approved.size} answers` }]
    if (twice.length > 0) return [{ rule: 'I11', what: `one person's answer to ${twice[0]?.name} counts twice` }]
    const named = story.commits.filter((c) => c.op && c.approvedBy && c.step === `${number}/${story.steps.length}`)
    return raises.length > 0 && named.length === 0
      ? [{ rule: 'I11', what: `step ${number} was entered, and no commit says who approved it` }]
      : []
  })
}

/** From the moment a pause is recorded until somebody says resume, nothing is raised. */
function pausedStands(story: Story): Violation[] {
  const found: Violation[] = []
  const raises = raisesOf(story)
  let since: number | undefined
  for (const entry of story.seen) {
    if (entry.kind === 'status') since = entry.status.paused ? (since ?? entry.at) : undefined
    if (entry.kind === 'request' && entry.verb === 'resume') since = undefined
    const raise = since === undefined ? undefined : raises.find(({ route }) => route === entry)
    if (raise)
      found.push({ rule: 'Pause', what: `at ${entry.at} ms ${raise.from} → ${raise.to}, paused since ${since} ms` })
  }
  return found
}

/** What people ask for is done, once. */
function requestsOnce(story: Story): Violation[] {
  const asked = story.seen.filter((entry) => entry.kind === 'request')
  const answers = statusesOf(story).flatMap(({ status }) => (status.lastRequest ? [status.lastRequest] : []))
  return asked.flatMap(({ id, verb }): Violation[] => {
    const mine = answers.filter((answer) => answer.id === id)
    const times = new Set(mine.map((answer) => answer.at))
    if (times.size > 1) return [{ rule: 'Request', what: `${verb} was executed ${times.size} times` }]
    const said = mine[0]
    return said?.result === 'Done'
      ? []
      : [{ rule: 'Request', what: `${verb} was ${said?.result ?? 'never answered'}: ${said?.message ?? ''}` }]
  })
}

/** No pod of the user's Deployment runs what has not passed. */
function latched(story: Story): Violation[] {
  const passed = new Set([story.app.first])
  return story.seen.flatMap((entry): Violation[] => {
    if (entry.kind === 'status' && entry.status.stable) passed.add(story.app.versionOf(entry.status.stable))
    const own = entry.kind === 'pod' && entry.workload === 'my-app' && !entry.goes
    return own && !passed.has(entry.version)
      ? [{ rule: 'Latch', what: `at ${entry.at} ms ${entry.name} runs ${entry.version}, which has not passed` }]
      : []
  })
}

/** No pod of the canary is taken away while it has traffic. */
function capacityFirst(story: Story): Violation[] {
  let weight = 0
  return story.seen.flatMap((entry): Violation[] => {
    if (entry.kind === 'route') weight = entry.weights.canary ?? 0
    const taken = entry.kind === 'pod' && entry.workload === 'my-app-canary' && entry.goes && weight > 0
    return taken
      ? [{ rule: 'Capacity', what: `at ${entry.at} ms ${entry.name} went with ${weight}% of the traffic` }]
      : []
  })
}

/** What became of the attempts, as status tells it, oldest first. */
export function outcomesOf(status: Status['status']): Outcome['result'][] {
  return (status.history ?? []).map(({ result }) => result).reverse()
}

/** Whether the attempts came to what they may come to. */
export function isTold(story: Pick<Story, 'attempts'>, outcomes: readonly Outcome['result'][]): boolean {
  return (
    outcomes.length === story.attempts.length &&
    story.attempts.every(({ ends }, i) => ends.some((end) => end === outcomes[i]))
  )
}

/** The version that has everything in the end: the last one that was promoted, or the one of the beginning. */
export function servingOf(story: Pick<Story, 'attempts' | 'app'>, outcomes: readonly Outcome['result'][]): string {
  return story.attempts.findLast((_, i) => outcomes[i] === 'Promoted')?.version ?? story.app.first
}

const isBad = (result: Outcome['result'] | undefined) => result === 'RolledBack' || result === 'Aborted'

/** The one end that releases of this content have, whatever happened on the way. */
function rightEnd(story: Story): Violation[] {
  const { app, attempts, steps, git } = story
  const status = statusesOf(story).at(-1)?.status ?? {}
  const live = routesOf(story).at(-1)?.weights ?? {}
  const outcomes = outcomesOf(status)
  const wrong: string[] = []
  const expect = (what: string, is: unknown, wanted: unknown) => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(wanted)]
    if (a !== b) wrong.push(`${what}: ${a}, not ${b}`)
  }
  if (!isTold(story, outcomes)) wrong.push(`the outcomes are ${outcomes.join(', ') || 'none'}`)
  const serving = servingOf(story, outcomes)
  const sorted = (weights: Record<string, number>) => Object.entries(weights).sort(([a], [b]) => (a < b ? -1 : 1))
  const rest = sorted(app.rest(serving))
  expect('the phase', status.phase, 'Healthy')
  expect('stable', status.stable && app.versionOf(status.stable), serving)
  expect('the live weights', sorted(live), rest)
  expect('the weights in Git', sorted(git.weights), rest)
  expect('the desired version in Git', git.desired, serving)
  expect('commits still owed', status.git?.pending?.length ?? 0, 0)
  const bad = attempts.filter(
    ({ version }, i) =>
      isBad(outcomes[i]) && !attempts.some((a, j) => a.version === version && outcomes[j] === 'Promoted'),
  )
  expect(
    'known bad',
    (status.knownBad ?? []).map((mark) => app.versionOf(mark)),
    bad.map(({ version }) => version),
  )
  const told = outcomes.flatMap((result) => (isBad(result) ? ['RolledBack'] : result === 'Promoted' ? [result] : []))
  expect(
    'the outcomes in Git',
    story.commits.flatMap((commit) => outcomeOf(commit) ?? []),
    told,
  )
  wrong.push(...story.leftovers)
  for (const canary of canariesOf(story)) {
    const mine = attempts.filter(({ version }) => app.canary(version) === canary)
    const rises = raisesOf(story).flatMap((raise) => (raise.canary === canary ? [raise.to] : []))
    const way = mine.flatMap((attempt) => attempt.way ?? steps.slice(0, rises.length))
    expect(`the way of ${canary} up`, rises, way)
  }
  return wrong.map((what) => ({ rule: 'End', what }))
}
