import type { Runtime } from '../../runtime.ts'
import type { Tokens } from './authentication.ts'
import type { Authorizer } from './authorization.ts'
import type { Encoder } from './encoding.ts'
import type { Exchange } from './exchange.ts'
import type { FaultMachine } from './faults.ts'
import type { ObjectStore } from './object-store.ts'
import type { Pipeline } from './pipeline.ts'
import type { Registry } from './registry.ts'
import type { UserInfo } from './request-context.ts'
import type { ResourceType } from './resource-type.ts'
import type { Route } from './route.ts'
import type { Watches } from './watch.ts'

/** What the HTTP handlers share. */
export interface ServerParts {
  store: ObjectStore
  registry: Registry
  pipeline: Pipeline
  encoder: Encoder
  faults: FaultMachine
  watches: Watches
  authorizer: Authorizer
  tokens: Tokens
  /** Who a request without credentials is. */
  anonymous: UserInfo
  runtime: Runtime
}

/** A request whose path named a resource that is served. */
export interface ResourceRequest extends Exchange {
  route: Route
  type: ResourceType
  verb: string
}
