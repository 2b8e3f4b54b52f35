import { type NotifyTarget, type Topic, usualTopics } from '../api/notify.ts'

/** One place that is told: a Slack channel, or a webhook whose address and key may stand in a Secret. */
export type Place =
  | { kind: 'slack'; channel: string }
  | { kind: 'webhook'; url?: string; secret?: { namespace: string; name: string } }
  /** The webhook of the controller's own configuration. */
  | { kind: 'own' }

export interface Route {
  place: Place
  on: ReadonlySet<Topic>
}

/** Who wants to be told, from the most to the least particular; undefined says nothing, an empty list says nobody. */
export interface Wishes {
  /** `spec.notify` of the Rollout, and the namespace in which its Secrets are. */
  rollout?: { namespace: string; notify: readonly NotifyTarget[] }
  /** The same of its RolloutSource. */
  source?: { namespace: string; notify: readonly NotifyTarget[] }
  controller: { slackChannel?: string; webhook: boolean; on?: readonly Topic[] }
}

/** A channel may follow a rollout in its thread, which disturbs nobody. */
const slackTopics: readonly Topic[] = [...usualTopics, 'started', 'step']

/** Where a Rollout's news go: what it says itself, else its source, else the controller. A place that is named twice is told once. */
export function routesOf({ rollout, source, controller }: Wishes): Route[] {
  const named = rollout ?? source
  return named ? merged(named.notify.map((target) => routeOf(target, named.namespace))) : controllersOwn(controller)
}

/** The places that are told of a topic. */
export function placesFor(routes: readonly Route[], topic: Topic): Place[] {
  return routes.filter(({ on }) => on.has(topic)).map(({ place }) => place)
}

/** Tells places apart. */
export function placeKey(place: Place): string {
  return JSON.stringify(place)
}

function routeOf({ slack, webhook, on }: NotifyTarget, namespace: string): Route {
  if (slack) return { place: { kind: 'slack', channel: slack.channel }, on: new Set(on ?? slackTopics) }
  const { url, secretRef } = webhook ?? {}
  const place: Place = {
    kind: 'webhook',
    ...(url === undefined ? {} : { url }),
    ...(secretRef ? { secret: { namespace, name: secretRef.name } } : {}),
  }
  return { place, on: new Set(on ?? usualTopics) }
}

function controllersOwn({ slackChannel, webhook, on }: Wishes['controller']): Route[] {
  const slack: Route[] =
    slackChannel === undefined
      ? []
      : [{ place: { kind: 'slack', channel: slackChannel }, on: new Set(on ?? slackTopics) }]
  return webhook ? [...slack, { place: { kind: 'own' }, on: new Set(on ?? usualTopics) }] : slack
}

function merged(routes: readonly Route[]): Route[] {
  const byPlace = new Map<string, Route>()
  for (const { place, on } of routes) {
    const before = byPlace.get(placeKey(place))
    byPlace.set(placeKey(place), { place, on: new Set([...(before?.on ?? []), ...on]) })
  }
  return [...byPlace.values()]
}
