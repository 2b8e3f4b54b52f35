import { fieldAt, listAt, textAt } from '../../kube/field.ts'

/** The lists of a VirtualService that hold routes, in the order in which they are reported. */
const protocols = ['http', 'tls', 'tcp'] as const
export type Protocol = (typeof protocols)[number]

/** One destination of a route, where it stands and what it says. */
export interface Destination {
  index: number
  /** The `destination` object as it is written; its identity. */
  raw: unknown
  host: string
  subset: string | undefined
  /** The weight as written, or undefined when there is none. */
  written: number | undefined
  /** The points Istio counts: an only destination gets everything, and a missing weight beside others is 0. */
  points: number
}

/** One route of a VirtualService. Only http routes have names. */
export interface Route {
  protocol: Protocol
  index: number
  name: string | undefined
  /** The route hands its requests to another VirtualService. */
  delegates: boolean
  destinations: Destination[]
}

/** Every route of a VirtualService. Anything that is not shaped as Istio's API says is passed over. */
export function routesIn(virtualService: unknown): Route[] {
  return protocols.flatMap((protocol) =>
    listAt(virtualService, 'spec', protocol).map((route, index) => routeOf(protocol, index, route)),
  )
}

/** How a route is called in messages: `route "primary"`, `http route 2`, `tcp route 1` (counted from 1, as people do). */
export function describeRoute(route: Pick<Route, 'protocol' | 'index' | 'name'>): string {
  return route.name === undefined ? `${route.protocol} route ${route.index + 1}` : `route "${route.name}"`
}

/** How a route is called in specs and identities: its name, or where it has none protocol and position, as in `tcp[0]`. */
export function routeId(route: Pick<Route, 'protocol' | 'index' | 'name'>): string {
  return route.name ?? `${route.protocol}[${route.index}]`
}

function routeOf(protocol: Protocol, index: number, route: unknown): Route {
  const entries = listAt(route, 'route')
  return {
    protocol,
    index,
    name: protocol === 'http' ? textAt(route, 'name') || undefined : undefined,
    delegates: fieldAt(route, 'delegate') !== undefined,
    destinations: entries.map((entry, at) => destinationOf(entry, at, entries.length === 1)),
  }
}

function destinationOf(entry: unknown, index: number, only: boolean): Destination {
  const weight = fieldAt(entry, 'weight')
  const written = typeof weight === 'number' ? weight : undefined
  return {
    index,
    raw: fieldAt(entry, 'destination'),
    host: textAt(entry, 'destination', 'host') ?? '',
    subset: textAt(entry, 'destination', 'subset') || undefined,
    written,
    points: only ? written || 100 : (written ?? 0),
  }
}
