import { posix } from 'node:path'
import { isCollection, isScalar } from 'yaml'
import type { CommittedValues } from '../api/committed.ts'
import type { RolloutSpec } from '../api/rollout.ts'
import type { Problem } from '../errors.ts'
import { fieldAt } from '../kube/field.ts'
import { fixedDestinations } from '../plan/destinations.ts'
import { show } from './edit.ts'
import type { Located } from './locate.ts'
import type { Manifest } from './manifest.ts'
import { type Read, type Rendered, renderedManifest } from './rendered.ts'
import { type Leaf, type Traced, type TracedMap, traced } from './traced.ts'
import { parseValuePath } from './value-path.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

/** A scalar that a Rollout names in a file of values. */
export interface ValueRef {
  file: string
  path: string
}

/** The subset that is wanted, as if the Rollout's own manifest said it. */
export async function desiredInValues(read: Read, folder: string, ref: ValueRef): Promise<Located> {
  return await valuesManifest(read, folder, [ref], ([desired]) =>
    objectOf('Rollout', { workload: new Map([['subsets', new Map([['desired', desired!]])]]) }),
  )
}

/** The two weights, as if they stood in a VirtualService with one route. */
export async function weightsInValues(
  read: Read,
  folder: string,
  { file, stable, canary }: NonNullable<CommittedValues['weights']>,
  spec: RolloutSpec,
): Promise<Located> {
  const { traffic } = spec
  const pair = fixedDestinations(spec)
  if (!pair || !traffic.istio) {
    const message = 'needs destinations that are always stable and always the canary'
    return { state: 'refused', problem: { reason: 'GitRefusedEdit', message, field: 'spec.source.values.weights' } }
  }
  const { name } = traffic.istio.virtualService
  const refs = [stable, canary].map((path) => ({ file, path }))
  const destination = (subset: string): Traced =>
    traced(traffic.istio?.services ? { host: subset } : { host: name, subset }, () => undefined)
  return await valuesManifest(read, folder, refs, (leaves) => {
    const route = [pair.stable, pair.canary].map(
      (side, i): TracedMap =>
        new Map([
          ['destination', destination(side)],
          ['weight', leaves[i]!],
        ]),
    )
    return objectOf('VirtualService', { http: [new Map([['route', route]])] })
  })
}

/** The scalars of the images, in the order of the spec. */
export async function imagesInValues(
  read: Read,
  folder: string,
  images: NonNullable<CommittedValues['images']>,
): Promise<Located> {
  return await valuesManifest(read, folder, images, (leaves) => objectOf('Images', { images: leaves }))
}

/** The scalars as an object of their own, made by `shape`; or why one of them is none. */
async function valuesManifest(
  read: Read,
  folder: string,
  refs: ValueRef[],
  shape: (leaves: Leaf[]) => TracedMap,
): Promise<Located> {
  const leaves: Leaf[] = []
  const files = new Set<string>()
  let base: Manifest | undefined
  for (const ref of refs) {
    const found = await scalarAt(read, folder, ref)
    if ('problem' in found) return { state: 'refused', problem: found.problem }
    const { leaf, line } = found
    files.add(leaf.from!.file)
    leaves.push(leaf)
    const { file, document, path } = leaf.from!
    base ??= { file, line, document, path, object: { apiVersion: 'v1', kind: 'Values', metadata: { name: '' } } }
  }
  const rendered: Rendered = {
    object: shape(leaves),
    files,
    folders: new Set(),
    async again(other) {
      const located = await valuesManifest(other, folder, refs, shape)
      return located.state === 'found' ? located.manifest : undefined
    },
  }
  return { state: 'found', manifest: renderedManifest(base!, rendered) }
}

async function scalarAt(
  read: Read,
  folder: string,
  ref: ValueRef,
): Promise<{ leaf: Leaf; line: number } | { problem: Problem }> {
  const file = posix.join(folder, ref.file)
  const refused = (message: string, line?: number) => ({
    problem: { reason: 'GitRefusedEdit', message, file, line } satisfies Problem,
  })
  const path = parseValuePath(ref.path)
  if (!path)
    return refused(`is named in spec.source.values with the path ${ref.path}, which is none: write a.b[0]["x.y"]`)
  const content = await read(file)
  if (!content) return refused('is named in spec.source.values, and is not in the repository')
  const yaml = parseYaml(content)
  if (!yaml) return refused('is not UTF-8')
  if (yaml.error) return refused(yaml.error.message, yaml.error.line)
  const holders = yaml.documents.flatMap((document, index) => {
    const node: unknown = document.getIn(path, true)
    const value = fieldAt(plainOf(document), ...path)
    return node !== undefined || value !== undefined ? [{ node, value, index }] : []
  })
  const lines = holders.map(({ node }) => yaml.lineAt(rangeOf(node) ?? 0))
  const [holder] = holders
  if (!holder) {
    const { message, line } = whatIsThere(yaml, path)
    return refused(`has no ${show(path)}: ${message}`, line)
  }
  if (holders.length > 1)
    return refused(`has ${show(path)} in several documents, at lines ${lines.join(' and ')}`, lines[0])
  if (isCollection(holder.node)) return refused(`has no scalar at ${show(path)}`, lines[0])
  const { value, index: document } = holder
  const isText = typeof value === 'string' || typeof value === 'number' || value === null || value === undefined
  if (!isText)
    return refused(`has ${JSON.stringify(value)} at ${show(path)}, which is neither text nor number`, lines[0])
  return { leaf: { value: value ?? null, from: { file, document, path } }, line: lines[0]! }
}

function plainOf(document: Parameters<typeof plainJson>[0]): unknown {
  try {
    return plainJson(document)
  } catch {
    return undefined
  }
}

function rangeOf(node: unknown): number | undefined {
  return isScalar(node) || isCollection(node) ? node.range?.[0] : undefined
}

/** How far a path leads, and the line where it ends. */
function whatIsThere(
  yaml: NonNullable<ReturnType<typeof parseYaml>>,
  path: (string | number)[],
): { message: string; line: number } {
  for (let depth = path.length - 1; depth > 0; depth--) {
    const part = path.slice(0, depth)
    const document = yaml.documents.find((d) => fieldAt(plainOf(d), ...part) !== undefined)
    if (!document) continue
    const node: unknown = document.getIn(part, true)
    const line = yaml.lineAt(rangeOf(node) ?? 0)
    const where = `${show(part)} at line ${line}`
    const isText = isScalar(node) && typeof node.value === 'string'
    const message = isText
      ? `${where} is a text, and nothing inside of a text is edited; write the values as YAML (valuesObject of an Application, values of a HelmRelease) or in a file of their own`
      : `${where} has no ${String(path[depth])}`
    return { message, line }
  }
  return { message: `it has no ${String(path[0])}`, line: 1 }
}

function objectOf(kind: string, spec: Record<string, Traced>): TracedMap {
  const name: Traced = { value: '' }
  return new Map<string, Traced>([
    ['apiVersion', { value: 'v1' }],
    ['kind', { value: kind }],
    ['metadata', new Map([['name', name]])],
    ['spec', new Map(Object.entries(spec))],
  ])
}
