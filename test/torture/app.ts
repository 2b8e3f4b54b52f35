import { parseDocument } from 'yaml'
import type { RevisionRecord } from '../../src/api/status.ts'
import type { Manifests } from './plot.ts'
import { weightsOf } from './story.ts'

/** A kind of app: how its versions are called on the route, and how people declare them. */
export interface App {
  /** The destination that has everything at first. */
  readonly stable: string
  /** The destination that gets a version's traffic while it is tried. */
  canary(version: string): string
  /** Weights when a version has everything and nothing is under way. */
  rest(version: string): Record<string, number>
  /** The version behind what a status remembers. */
  versionOf(record: Pick<RevisionRecord, 'name'>): string
  /** Edits the manifests in place. */
  edit(files: Map<string, string>): Manifests
  /** What the manifests say. */
  read(files: Map<string, string>): { weights: Record<string, number>; desired: string }
}

const ROLLOUT = 'rollout-my-app.yaml'
const ROUTE = 'virtualservice-my-app.yaml'
const DESIRED = ['spec', 'workload', 'subsets', 'desired']

/** Versions that run side by side, each a subset of its own. */
export function subsetsApp(versions: readonly string[]): App {
  const [stable = ''] = versions
  return {
    stable,
    canary: (version) => version,
    rest: (version) => Object.fromEntries(versions.map((each) => [each, each === version ? 100 : 0])),
    versionOf: ({ name }) => name,
    edit(files) {
      const change = (file: string, path: (string | number)[], value: unknown) => {
        const document = parseDocument(files.get(file) ?? '')
        document.setIn(path, value)
        files.set(file, document.toString())
      }
      return {
        desire: (version) => change(ROLLOUT, DESIRED, version),
        holds(hold) {
          const { spec } = parseDocument(files.get(ROLLOUT) ?? '').toJS()
          for (const i of spec.steps.keys()) change(ROLLOUT, ['spec', 'steps', i, 'hold'], hold)
        },
        weights(weights) {
          const { spec } = parseDocument(files.get(ROUTE) ?? '').toJS()
          for (const [i, { destination }] of spec.http[0].route.entries())
            if (destination.subset in weights)
              change(ROUTE, ['spec', 'http', 0, 'route', i, 'weight'], weights[destination.subset])
        },
      }
    },
    read: (files) => ({
      weights: weightsOf(parseDocument(files.get(ROUTE) ?? '').toJS()),
      desired: String(parseDocument(files.get(ROLLOUT) ?? '').getIn(DESIRED)),
    }),
  }
}
