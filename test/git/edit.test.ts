import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editScalars, type ScalarEdit } from '../../src/git/edit.ts'
import { readManifests } from '../../src/git/manifest.ts'

function edit(text: string, edits: ScalarEdit[], document = 0): string {
  const result = editScalars('vs.yaml', Buffer.from(text), document, edits)
  if (!result.ok) throw new Error(`${result.problem.reason} ${result.problem.line}: ${result.problem.message}`)
  return result.content.toString()
}

function refusal(text: string, edits: ScalarEdit[]): string {
  const result = editScalars('vs.yaml', Buffer.from(text), 0, edits)
  if (result.ok) throw new Error(`edited: ${result.content}`)
  expect(result.problem).toMatchObject({ reason: 'GitRefusedEdit', file: 'vs.yaml' })
  return `${result.problem.line}: ${result.problem.message}`
}

const w = (value: string | number): ScalarEdit[] => [{ path: ['w'], value }]

describe('changes only the bytes of the scalar', () => {
  test.each([
    ['comments, order and blanks', 'z: 1\n\nw:   90   # ninety\n# end', 'z: 1\n\nw:   50   # ninety\n# end'],
    ['CRLF and no final newline', 'a: 1\r\nw: 90\r\nb: 2', 'a: 1\r\nw: 50\r\nb: 2'],
    ['double quotes', 'w: "90"\n', 'w: "50"\n'],
    ['single quotes', "w: '90'\n", "w: '50'\n"],
    ['an anchor nobody uses', 'w: &x 90\n', 'w: &x 50\n'],
    ['a tag', 'w: !!int 90\n', 'w: !!int 50\n'],
    ['flow style', '{a: 1, w: 90 , b: [1]}', '{a: 1, w: 50 , b: [1]}'],
    ['JSON with tabs', '{\n\t"w": 90,\n\t"a": "x"\n}\n', '{\n\t"w": 50,\n\t"a": "x"\n}\n'],
    ['tabs in comments', 'w: 90\t#\ttab\n', 'w: 50\t#\ttab\n'],
    ['a byte order mark', '\ufeffw: 90\n', '\ufeffw: 50\n'],
    ['an empty value', 'w:\na: 1\n', 'w: 50\na: 1\n'],
    ['an explicit document end', '---\nw: 90\n...\n', '---\nw: 50\n...\n'],
  ])('%s', (_name, before, after) => expect(edit(before, w(50))).toBe(after))

  test('in one of several documents', () => {
    expect(edit('w: 1\n---\n# two\nw: 90\n---\nw: 3\n', w(50), 1)).toBe('w: 1\n---\n# two\nw: 50\n---\nw: 3\n')
  })

  test('a string that YAML would read as something else gets quotes', () => {
    expect(edit('w: v1 # c\n', w('v2'))).toBe('w: v2 # c\n')
    for (const value of ['2', '1.10', 'yes', 'null', '1e3', '0x1', '2001-01-01', 'a: b', '~', '']) {
      expect(edit('w: v1 # c\n', w(value))).toBe(`w: ${JSON.stringify(value)} # c\n`)
    }
    expect(edit("w: 'v1'\n", w("it's"))).toBe("w: 'it''s'\n")
  })

  test('a value that is there already changes nothing', () => {
    expect(editScalars('f', Buffer.from('w: "90"'), 0, w(90))).toMatchObject({ ok: true, changed: false })
  })
})

describe('adds a weight as its siblings are written', () => {
  const add: ScalarEdit[] = [{ path: ['route', 0, 'weight'], value: 10 }]
  test.each([
    [
      'block',
      'route:\n  - destination:\n      host: a # c\n      subset: v1 # last\n  # next\n  - destination: {host: b}\n',
      'route:\n  - destination:\n      host: a # c\n      subset: v1 # last\n    weight: 10\n  # next\n  - destination: {host: b}\n',
    ],
    [
      'block at the end of the file',
      'route:\n- destination: {host: a}',
      'route:\n- destination: {host: a}\n  weight: 10',
    ],
    ['CRLF', 'route:\r\n- destination: {host: a}\r\n', 'route:\r\n- destination: {host: a}\r\n  weight: 10\r\n'],
    ['flow', 'route: [{destination: {host: a}}, {x: 1}]', 'route: [{destination: {host: a}, weight: 10}, {x: 1}]'],
    [
      'flow with a trailing comma',
      'route: [{destination: {host: a},}]',
      'route: [{destination: {host: a}, weight: 10,}]',
    ],
    [
      'JSON',
      '{"route": [{"destination": {"host": "a"}}]}',
      '{"route": [{"destination": {"host": "a"}, "weight": 10}]}',
    ],
    ['empty last value', 'route:\n- a: 1\n  b:\n', 'route:\n- a: 1\n  b:\n  weight: 10\n'],
  ])('%s', (_name, before, after) => expect(edit(before, add)).toBe(after))
})

describe('refuses what it cannot change exactly, and says where and why', () => {
  test.each([
    ['an alias', 'a: &x 90\nw: *x\n', '2: w is the alias *x'],
    ['a shared anchor', 'w: &x 90\na: *x\n', '1: w is shared with other fields through an anchor'],
    ['a merge key', 'b: &b {w: 90}\n<<: *b\n', '1: w comes from a merge key (<<)'],
    ['a block scalar', 'w: |\n  90\n', '1: w is a block scalar'],
    ['several lines', 'w: "9\n  0"\n', '1: w spans several lines'],
    ['a template', 'a: 1\nw: {{ .Values.w }}\n', '2: is a template ({{ … }}), not a manifest'],
    ['a quoted template', 'w: "{{ .Values.w }}"\n', '1: w is a template'],
    ['duplicate keys', 'w: 1\nw: 2\n', '2: Map keys must be unique'],
    ['a mapping', 'w: {a: 1}\n', '1: w is not a scalar'],
    ['broken YAML', 'a: [1\nw: 2\n', '2: '],
  ])('%s', (_name, text, message) => expect(refusal(text, w(50))).toContain(message))

  test('a path through an alias', () => {
    const text = 'a: &x\n  w: 90\nb: *x\n'
    expect(refusal(text, [{ path: ['b', 'w'], value: 1 }])).toBe('3: b.w is reached through the alias *x')
    expect(refusal(text, [{ path: ['a', 'w'], value: 1 }])).toContain('shared')
  })

  test('bytes that are not UTF-8', () => {
    const result = editScalars('f', Buffer.from([0x77, 0x3a, 0x20, 0xff]), 0, w(1))
    expect(result).toMatchObject({ ok: false, problem: { reason: 'GitRefusedEdit' } })
  })
})

describe('in files of random layout', () => {
  const number = fc.integer({ min: 0, max: 100 })
  const layout = fc.record({
    eol: fc.constantFrom('\n', '\r\n'),
    bom: fc.boolean(),
    final: fc.boolean(),
    indent: fc.constantFrom(2, 4),
    dash: fc.boolean(),
    quote: fc.constantFrom('', "'", '"'),
    comment: fc.constantFrom('', ' # weight: 1', '\t#\ttab', '   # {{ not a template }}'),
    blank: fc.boolean(),
    flow: fc.boolean(),
    preamble: fc.constantFrom('', 'kind: Other', '# only a comment', 'a: &x [1, "weight: 3"]\nb: *x'),
    foreign: fc.boolean(),
    weights: fc.tuple(number, number),
    wanted: fc.tuple(number, number),
  })

  test('every byte but the scalars’ stays, and the values are the wanted ones', () => {
    fc.assert(
      fc.property(layout, (l) => {
        const render = (weights: readonly [number, number]) => {
          const pad = l.dash ? '' : ' '.repeat(l.indent)
          const entry = (subset: string, weight: number) => {
            const value = `${l.quote}${weight}${l.quote}`
            if (l.flow) return [`${pad}- { destination: {host: a, subset: ${subset}}, weight: ${value} }${l.comment}`]
            const inner = ' '.repeat(l.indent)
            return [
              `${pad}- destination:${l.comment}`,
              `${pad}  ${inner}host: a`,
              `${pad}  ${inner}subset: ${subset}${l.comment}`,
              `${pad}  weight:  ${value}${l.comment}`,
              ...(l.blank ? ['', `${pad}  # after`] : []),
            ]
          }
          const lines = [
            ...(l.preamble ? [...l.preamble.split('\n'), '---'] : []),
            'kind: VirtualService',
            'route:',
            ...entry('v1', weights[0]),
            ...(l.foreign ? [`${pad}- destination: {host: other}`, `${pad}  weight: 0`] : []),
            ...entry('v2', weights[1]),
            'tail: weight',
          ]
          return `${l.bom ? '\ufeff' : ''}${lines.join(l.eol)}${l.final ? l.eol : ''}`
        }
        const edits = [
          { path: ['route', 0, 'weight'], value: l.wanted[0] },
          { path: ['route', l.foreign ? 2 : 1, 'weight'], value: l.wanted[1] },
        ]
        expect(edit(render(l.weights), edits, l.preamble === '' || l.preamble.startsWith('#') ? 0 : 1)).toBe(
          render(l.wanted),
        )
      }),
      { numRuns: 300 },
    )
  })
})

test('reads objects as Kubernetes tools do', () => {
  const text = [
    '# a comment only',
    '---',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {mode: 0644, on: yes, at: 12:30, day: 2001-01-01}',
    '---',
    '---',
    'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b, namespace: x}\n- 7',
    '---',
    'replicas: 3',
  ].join('\n')
  const file = readManifests('all.yaml', Buffer.from(text))
  expect(file.manifests.map((m) => [m.object.kind, m.line, m.document, m.path])).toEqual([
    ['ConfigMap', 3, 0, []],
    ['Secret', 12, 2, ['items', 0]],
  ])
  expect(file.manifests[0]!.object.data).toEqual({ mode: 420, true: true, at: '12:30', day: '2001-01-01' })
  expect(file.problems).toEqual([
    { reason: 'ManifestInvalid', message: 'an item of the List is no object', file: 'all.yaml', line: 9 },
  ])
  expect(file.others).toEqual([17])
})
