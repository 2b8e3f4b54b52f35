import { parseDocument } from 'yaml'
import type { RevisionRecord } from '../../src/api/status.ts'
import type { Storage } from '../../src/sandbox/apiserver/index.ts'
import type { SceneOptions } from '../scenario/stage.ts'
import type { Manifests, Plot } from './plot.ts'
import { weightsOf } from './story.ts'

/** A kind of app: how it is declared, what its versions are called on the route, and what is at rest. */
export interface App {
  /** The version that has everything at first. */
  readonly first: string
  /** The destination that has the traffic of what is stable. */
  readonly stable: string
  /** The destination that gets a version's traffic while it is tried. */
  canary(version: string): string
  /** Weights when a version has everything and nothing is under way. */
  rest(version: string): Record<string, number>
  /** The version behind what a status remembers. */
  versionOf(record: Pick<RevisionRecord, 'name'>): string
  /** The scene in which it plays; `rollout` is the declaration but for the workload. */
  scene(namespace: string, rollout: Record<string, unknown>): SceneOptions
  /** Edits the manifests in place. */
  edit(files: Map<string, string>): Manifests
  /** What the manifests say. */
  read(files: Map<string, string>): { weights: Record<string, number>; desired: string }
  /** Its files that `read` needs. */
  files: readonly string[]
  /** Makes the pods of a version, those to come as well, answer as they should. */
  repair(storage: Storage, namespace: string, version: string): void
  /** What must not be there any more when a version has everything. */
  leftovers(storage: Storage, namespace: string, version: string): string[]
}

export const ROLLOUT = 'rollout-my-app.yaml'
export const ROUTE = 'virtualservice-my-app.yaml'
const DESIRED = ['spec', 'workload', 'subsets', 'desired']
const PODS = { group: '', plural: 'pods' }

/** Sets one field of one manifest. */
export function change(files: Map<string, string>, file: string, path: (string | number)[], value: unknown): void {
  const document = parseDocument(files.get(file) ?? '')
  document.setIn(path, value)
  files.set(file, document.toString())
}

/** The edits that are the same for every kind of app. */
export function editRoute(files: Map<string, string>, app: Pick<App, 'stable' | 'canary'>): Omit<Manifests, 'desire'> {
  return {
    holds(hold) {
      const { spec } = parseDocument(files.get(ROLLOUT) ?? '').toJS()
      for (const i of spec.steps.keys()) change(files, ROLLOUT, ['spec', 'steps', i, 'hold'], hold)
    },
    weight(version, percent) {
      const wanted: Record<string, number> = { [app.stable]: 100 - percent, [app.canary(version)]: percent }
      const { spec } = parseDocument(files.get(ROUTE) ?? '').toJS()
      for (const [i, { destination }] of spec.http[0].route.entries())
        if (destination.subset in wanted)
          change(files, ROUTE, ['spec', 'http', 0, 'route', i, 'weight'], wanted[destination.subset])
    },
  }
}

export function weightsIn(files: Map<string, string>): Record<string, number> {
  return weightsOf(parseDocument(files.get(ROUTE) ?? '').toJS())
}

/** Makes pods answer, now and later. */
export function repairPods(
  storage: Storage,
  namespace: string,
  isOne: (pod: { labels: Record<string, string>; image: string }) => boolean,
): void {
  const annotations = { 'sandbox.sluice.dev/error-rate': '0' }
  storage.subscribe(PODS, (type, { metadata, spec }) => {
    const { containers } = spec as { containers: { image: string }[] }
    if (
      type === 'DELETED' ||
      metadata.namespace !== namespace ||
      metadata.annotations?.['sandbox.sluice.dev/error-rate']
    )
      return
    if (!isOne({ labels: metadata.labels ?? {}, image: containers[0]?.image ?? '' })) return
    queueMicrotask(() => {
      if (storage.get(PODS, { namespace, name: metadata.name }))
        storage.patchMerge(PODS, { namespace, name: metadata.name }, { metadata: { annotations } })
    })
  })
}

/** Versions that run side by side, each a subset of its own. */
export function subsetsApp({ versions }: Pick<Plot, 'versions'>): App {
  const first = 'v1'
  const names = [first, ...versions.map(({ name }) => name)]
  const app: App = {
    first,
    stable: first,
    canary: (version) => version,
    rest: (version) => Object.fromEntries(names.map((each) => [each, each === version ? 100 : 0])),
    versionOf: ({ name }) => name,
    scene: (_, rollout) => ({ versions: [{ name: first }, ...versions], rollout }),
    edit: (files) => ({
      desire: (version) => change(files, ROLLOUT, DESIRED, version),
      ...editRoute(files, app),
    }),
    files: [ROLLOUT, ROUTE],
    read: (files) => ({
      weights: weightsIn(files),
      desired: String(parseDocument(files.get(ROLLOUT) ?? '').getIn(DESIRED)),
    }),
    repair: (storage, namespace, version) => repairPods(storage, namespace, ({ labels }) => labels.version === version),
    leftovers: () => [],
  }
  return app
}
