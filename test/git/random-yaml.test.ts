import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editScalars } from '../../src/git/edit.ts'
import { parseYaml, plainJson } from '../../src/git/yaml-document.ts'

type Style = 'plain' | 'single' | 'double'
type Node =
  | { kind: 'scalar'; value: number; style: Style; anchor: boolean }
  | { kind: 'map' | 'seq'; flow: boolean; children: Node[]; comment: string; blank: boolean }

const scalar = fc.record({
  kind: fc.constant('scalar' as const),
  value: fc.integer({ min: 0, max: 1000 }),
  style: fc.constantFrom<Style>('plain', 'single', 'double'),
  anchor: fc.boolean(),
})
const { tree } = fc.letrec<{ tree: Node; collection: Node }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('collection')),
  collection: fc.record({
    kind: fc.constantFrom('map' as const, 'seq' as const),
    flow: fc.boolean(),
    children: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
    comment: fc.constantFrom('', ' # weight: 7', '\t# "tabs\tand" {{ quotes }}', ' # é 😀 *x &y'),
    blank: fc.boolean(),
  }),
}))

/** The text in pieces: what is between the scalars, and the scalars with their paths. */
type Piece = string | { path: (string | number)[]; value: number; style: Style }

/** Writes a tree, every node in its own style. */
function* write(node: Node, path: (string | number)[], indent: number, inFlow: boolean): Generator<Piece> {
  if (node.kind === 'scalar') {
    if (node.anchor) yield `&a${path.join('-')} `
    yield { path, value: node.value, style: node.style }
    return
  }
  const { kind, children, comment } = node
  const flow = inFlow || node.flow
  if (flow) {
    yield kind === 'map' ? '{ ' : '['
    for (const [i, child] of children.entries()) {
      if (i > 0) yield ',  '
      if (kind === 'map') yield `"k${i}": `
      yield* write(child, [...path, kind === 'map' ? `k${i}` : i], indent, true)
    }
    yield kind === 'map' ? ' }' : ' ]'
    return
  }
  for (const [i, child] of children.entries()) {
    yield `\n${' '.repeat(indent)}${kind === 'map' ? `k${i}:` : '-'}`
    const isBlock = child.kind !== 'scalar' && !child.flow
    if (isBlock) yield comment
    else yield '  '
    yield* write(child, [...path, kind === 'map' ? `k${i}` : i], indent + 2, false)
    if (!isBlock) yield comment
    if (node.blank) yield `\n\n${' '.repeat(indent)}# k${i}: 1`
  }
}

function written(value: number, style: Style): string {
  return style === 'plain' ? String(value) : style === 'single' ? `'${value}'` : `"${value}"`
}

function textOf(pieces: Piece[], eol: string, values: ReadonlyMap<string, number> = new Map()): string {
  const parts = pieces.map((piece) =>
    typeof piece === 'string' ? piece : written(values.get(JSON.stringify(piece.path)) ?? piece.value, piece.style),
  )
  return parts.join('').replaceAll('\n', eol)
}

const layout = fc.record({
  root: tree.filter((node) => node.kind !== 'scalar'),
  before: fc.constantFrom('', '# first', 'a: [1, "x"]\n---', '%YAML 1.1\n---'),
  after: fc.constantFrom('', '\n', '\n# last', '\n---\nk0: 1\n', '\n...\n'),
  eol: fc.constantFrom('\n', '\r\n'),
  bom: fc.boolean(),
  seed: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 1000 })), { minLength: 1, maxLength: 5 }),
})

test('in YAML of any style, an edit changes the bytes of its scalars and no others, and means what it says', () => {
  fc.assert(
    fc.property(layout, ({ root, before, after, eol, bom, seed }) => {
      const pieces: Piece[] = [bom ? '\ufeff' : '', before, '\n', ...write(root, [], 0, false), after]
      const scalars = pieces.filter((piece) => typeof piece !== 'string')
      const wanted = new Map(seed.map(([at, value]) => [JSON.stringify(scalars[at % scalars.length]!.path), value]))
      const content = Buffer.from(textOf(pieces, eol))
      const document = before.startsWith('a:') ? 1 : 0
      const edits = [...wanted].map(([path, value]) => ({ path: JSON.parse(path) as (string | number)[], value }))
      const result = editScalars('f.yaml', content, document, edits)
      if (!result.ok) throw new Error(`${result.problem.message}\n${content}`)
      expect(result.content.toString()).toBe(textOf(pieces, eol, wanted))
      const yaml = parseYaml(result.content)!
      for (const { path, value } of edits) {
        let here: unknown = plainJson(yaml.documents[document]!)
        for (const key of path) here = (here as Record<string, unknown>)[key]
        expect(Number(here)).toBe(value)
      }
    }),
    { numRuns: 400 },
  )
})
