import type { KubeObject } from '../../src/kube/object.ts'
import type { CommitSeen, Seen, Story } from './story.ts'

/** What must not have been seen, and was. */
export interface Violation {
  /** The invariant of the design, or `End`. */
  rule: 'I1' | 'I3' | 'I5' | 'I7' | 'I8' | 'I11' | 'I13' | 'Order' | 'Breach' | 'End'
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
    ...oneAttempt(story),
    ...approvedOnce(story),
    ...rightEnd(story),
  ]
}

const routesOf = ({ seen }: Story): Route[] => seen.filter((entry) => entry.kind === 'route')
const statusesOf = ({ seen }: Story): Status[] => seen.filter((entry) => entry.kind === 'status')

interface Raise {
  from: number
  to: number
  route: Route
}

/** Every time somebody gave the canary more. */
export function raisesOf(story: Story): Raise[] {
  const routes = routesOf(story)
  const weight = (route: Route | undefined) => route?.weights[story.canary] ?? 0
  return routes
    .map((route, i) => ({ from: weight(routes[i - 1]), to: weight(route), route }))
    .filter(({ from, to }, i) => i > 0 && to > from)
}

function weightsOnly(story: Story): Violation[] {
  const routes = routesOf(story)
  const first = routes[0] && withoutWeights(routes[0].object)
  const others = routes.filter((route) => withoutWeights(route.object) !== first)
  const sums = routes.filter((route) => (route.weights[story.stable] ?? 0) + (route.weights[story.canary] ?? 0) !== 100)
  return [
    ...others.map(({ at }): Violation => ({ rule: 'I1', what: `at ${at} ms more than weights changed in the route` })),
    ...sums.map(
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
  return raisesOf(story).flatMap(({ to, route }): Violation[] => {
    const upTo = story.commits.findIndex((commit) => commit.sha === route.tip)
    if (upTo < 0) return [{ rule: 'I3', what: `at ${route.at} ms, ${to}: the tip ${route.tip} is not in the branch` }]
    const newest = story.commits.slice(0, upTo + 1).findLast((commit) => commit.weights !== undefined)
    const said = newest?.weights?.canary === story.canary ? newest.weights.weight : 0
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
    ...(outcomes.length > 1
      ? [
          {
            rule: 'I5',
            what: `more than one outcome in Git: ${outcomes.map((c) => c.subject).join(' | ')}`,
          } satisfies Violation,
        ]
      : []),
  ]
}

function outcomeOf({ op, subject }: CommitSeen): Story['end'] | undefined {
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

/** A breach is final, and what is known to be bad is not tried again. */
function neverAgain(story: Story): Violation[] {
  let breach: number | undefined
  let bad: number | undefined
  let weight = 0
  const found: Violation[] = []
  for (const entry of story.seen) {
    if (entry.kind === 'status') {
      const { canary, analysis = [], knownBad = [] } = entry.status
      if (canary?.name === story.canary && analysis.some((sli) => sli.verdict === 'Breach')) breach ??= entry.at
      if (knownBad.some((mark) => mark.name === story.canary)) bad ??= entry.at
    }
    if (entry.kind !== 'route') continue
    const next = entry.weights[story.canary] ?? 0
    if (next < weight && entry.by?.startsWith('sluice-retreat.Breach')) breach ??= entry.at
    if (next > weight && bad !== undefined)
      found.push({ rule: 'I8', what: `at ${entry.at} ms ${weight} → ${next}, known bad since ${bad} ms` })
    else if (next > weight && breach !== undefined)
      found.push({ rule: 'Breach', what: `at ${entry.at} ms ${weight} → ${next}, in breach since ${breach} ms` })
    weight = next
  }
  return found
}

/** Neither a restart nor a commit of our own begins anything again. */
function oneAttempt(story: Story): Violation[] {
  const attempts = new Set(statusesOf(story).flatMap(({ status }) => (status.attempt ? [status.attempt] : [])))
  return attempts.size > 1 ? [{ rule: 'I7', what: `${attempts.size} attempts were made of one release` }] : []
}

/** A gated step is entered with an approved question of its own, and no question opens a gate twice. */
function approvedOnce(story: Story): Violation[] {
  return story.gated.flatMap((number): Violation[] => {
    const weight = story.steps[number - 1]
    const raises = raisesOf(story).filter(({ to }) => to === weight)
    const questions = story.seen.filter((entry) => entry.kind === 'approval' && entry.step === number)
    const approved = new Set(
      questions.flatMap((q) =>
        q.kind === 'approval' && (q.state === 'Approved' || q.state === 'Consumed') ? [q.name] : [],
      ),
    )
    if (raises.length > approved.size)
      return [{ rule: 'I11', what: `step ${number} was entered ${raises.length} times on ${approved.size} answers` }]
    const named = story.commits.filter((c) => c.op && c.approvedBy && c.step === `${number}/${story.steps.length}`)
    return raises.length > 0 && named.length === 0
      ? [{ rule: 'I11', what: `step ${number} was entered, and no commit says who approved it` }]
      : []
  })
}

/** The one end that a release of this content has, whatever happened on the way. */
function rightEnd(story: Story): Violation[] {
  const { end, stable, canary, steps, git } = story
  const status = statusesOf(story).at(-1)?.status ?? {}
  const live = routesOf(story).at(-1)?.weights ?? {}
  const good = end === 'Promoted'
  const weight = good ? (steps.at(-1) ?? 100) : 0
  const serving = good ? canary : stable
  const wrong: string[] = []
  const expect = (what: string, is: unknown, wanted: unknown) => {
    if (is !== wanted) wrong.push(`${what} is ${is}, not ${wanted}`)
  }
  expect('the outcome', status.lastOutcome?.result, end)
  expect('the phase', status.phase, 'Healthy')
  expect('stable', status.stable?.name, serving)
  expect(`the live weight of ${canary}`, live[canary], weight)
  expect(`the weight of ${canary} in Git`, git.weights[canary], weight)
  expect(`the weight of ${stable} in Git`, git.weights[stable], 100 - weight)
  expect('the desired version in Git', git.desired, serving)
  expect('a commit still owed', status.git?.pending?.length ?? 0, 0)
  const bad = status.knownBad?.some((mark) => mark.name === canary) ?? false
  expect('the mark of known bad', bad, end === 'RolledBack')
  expect('the number of outcomes in status', status.history?.length ?? 0, 1)
  // Going back to what is desired is no outcome that Git has to be told: it said so itself.
  const outcomes = story.commits.filter((commit) => outcomeOf(commit) !== undefined)
  expect('the outcomes in Git', outcomes.map(outcomeOf).join(), end === 'Reverted' ? '' : end)
  const rises = raisesOf(story).map(({ to }) => to)
  const way = { Promoted: steps, RolledBack: steps.slice(0, 1), Reverted: steps.slice(0, rises.length) }[end]
  expect('the way up', rises.join(), way.join())
  return wrong.map((what) => ({ rule: 'End', what }))
}
