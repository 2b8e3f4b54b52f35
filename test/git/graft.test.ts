import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { templateHash } from '../../src/git/desired.ts'
import { graft, type Source } from '../../src/git/graft.ts'
import { readManifests } from '../../src/git/manifest.ts'

function source(text: string): Source {
  const content = Buffer.from(text)
  const manifest = readManifests('prod/d.yaml', content).manifests.find((m) => m.object.kind === 'Deployment')
  if (!manifest) throw new Error(`no Deployment in\n${text}`)
  return { content, manifest }
}

function putBack(today: string, good: string): string {
  const result = graft(source(today), source(good), ['spec', 'template'])
  if (!result.ok) throw new Error(`${result.problem.file}:${result.problem.line}: ${result.problem.message}`)
  const text = result.content.toString()
  expect(templateHash(source(text).manifest)).toBe(templateHash(source(good).manifest))
  return text
}

function refusal(today: string, good: string): string {
  const result = graft(source(today), source(good), ['spec', 'template'])
  if (result.ok) throw new Error(`edited: ${result.content}`)
  expect(result.problem).toMatchObject({ reason: 'GitRefusedEdit', file: 'prod/d.yaml' })
  return `${result.problem.line}: ${result.problem.message}`
}

const head = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: checkout }\n'
const block = (image: string, more = '') =>
  `${head}spec:
  replicas: 2
  template: # the pods
    metadata: {labels: {app: checkout}}   # one label
    spec:
      # the only one
      containers:
      - image: ${image}
        name: 'app'
${more}  strategy: {}
`

describe('puts back every byte of the field, and no other', () => {
  test('comments, quotes, order and blanks inside come back; what people changed outside stays', () => {
    const good = block('"app:1"  # the good one', '        # said below\n\n    # and deeper than the key\n')
    const today = block('app:2', '        env: [{name: A, value: b}]\n')
      .replace('replicas: 2', 'replicas: 7 # busy')
      .replace('# the pods', '# the new pods')
      .replace('  strategy', '  # outside\n  strategy')
    expect(putBack(today, good)).toBe(
      good.replace('replicas: 2', 'replicas: 7 # busy').replace('  strategy', '  # outside\n  strategy'),
    )
  })

  test.each([
    ['the last of the file, without a line end', block('app:1').replace('  strategy: {}\n', '').trimEnd()],
    ['before a document end', `${block('app:1').replace('  strategy: {}\n', '')}...\n---\na: 1\n`],
    ['in the second of several documents', `kind: X\n---\n${block('app:1')}---\nkind: Y\n`],
    ['with a byte order mark', `\ufeff${block('app:1')}`],
    ['with CRLF', block('app:1').replaceAll('\n', '\r\n')],
    ['with an anchor of its own', block('app:1').replace('template:', 'template: &pods').replace('app:1', '&i app:1')],
    ['with a tab in a comment', block('app:1 #\ttab')],
    ['quoted keys', block('app:1').replace('  template:', '  "template":').replace('name:', '"name":')],
    [
      'a block scalar at the end',
      block('app:1', '        command:\n        - sh\n        - |\n          a\n\n           b\n'),
    ],
    [
      'a folded one that keeps its end',
      block('app:1', '        args:\n        - >+\n          a\n\n        tty: true\n'),
    ],
    ['several lines in quotes', block('app:1', '        args: ["a\n          b \\\n          c"]\n')],
    [
      'no indentation of lists',
      block('app:1').replace('      - image', '      -   image').replace('        name', '          name'),
    ],
    [
      'flow style',
      `${head}spec: {replicas: 2, template: {metadata: {}, spec: {containers: [{image: "app:1"}]}}, paused: false}\n`,
    ],
    [
      'flow style on lines',
      `${head}spec: {\n  template: { # c\n    spec: {containers: [\n      {image: app:1}]}},\n  x: 1}\n`,
    ],
    [
      'JSON',
      JSON.stringify(
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'a' },
          spec: { template: { spec: { containers: [{ image: 'app:1' }] } } },
        },
        null,
        '\t',
      ),
    ],
    [
      'an item of a List',
      `kind: List\napiVersion: v1\nitems:\n- kind: Service\n  apiVersion: v1\n  metadata: {name: checkout}\n- ${block('app:1').trimEnd().replaceAll('\n', '\n  ')}\n`,
    ],
    [
      'an alias of an anchor before it',
      block('app:1').replace('{ name: checkout }', '{ name: &n checkout }').replace("'app'", '*n'),
    ],
    [
      'a merge key',
      block('app:1')
        .replace('metadata: { name: checkout }', 'metadata: { name: checkout, labels: &l {a: b} }')
        .replace('{labels: {app: checkout}}', '{labels: {<<: *l, app: checkout}}'),
    ],
  ])('%s', (_name, good) => {
    const today = good.replace('app:1', 'app:2').replace('replicas: 2', 'replicas: 5')
    expect(putBack(today, good)).toBe(good.replace('replicas: 2', 'replicas: 5'))
  })

  test('moves with the indentation that its place has today', () => {
    const good = block(
      'app:1 # good',
      '        command:\n        - |\n          a\n\n            b\n# at the very left\n      restartPolicy: Always\n',
    )
    const deeper = `${head}spec:\n        template:\n            metadata: {}\n        replicas: 1\n`
    const moved = (by: number) =>
      good
        .slice(good.indexOf(' # the pods'), good.indexOf('\n  strategy'))
        .split('\n')
        .map((line, i) =>
          i === 0 || line === '' ? line : by > 0 ? ' '.repeat(by) + line : line.replace(new RegExp(`^ {0,${-by}}`), ''),
        )
        .join('\n')
    expect(putBack(deeper, good)).toBe(`${head}spec:\n        template:${moved(6)}\n        replicas: 1\n`)
    const back = putBack(deeper, good)
    const shallow = `${head}spec:\n template:\n  metadata: {}\n replicas: 1\n`
    expect(putBack(shallow, good)).toBe(`${head}spec:\n template:${moved(-1)}\n replicas: 1\n`)
    expect(putBack(good.replace('app:1', 'app:2'), back)).toBe(good)
  })

  test('from braces to lines, but not from lines to braces', () => {
    const inline = `${head}spec: {replicas: 1, template: {metadata: {labels: {app: checkout}}, spec: {containers: [{image: "app:1", name: app}]}}}\n`
    expect(putBack(block('app:2'), inline)).toContain(
      '  replicas: 2\n  template: {metadata: {labels: {app: checkout}}, spec: {containers: [{image: "app:1", name: app}]}}\n  strategy: {}\n',
    )
    // Only the image differs: exactly that scalar is edited, in the style that it has today.
    expect(putBack(inline.replace('app:1', 'app:2'), block('app:1'))).toBe(inline)
    expect(refusal(inline.replace('name: app', 'name: app, tty: true'), block('app:1'))).toBe(
      '4: spec.template cannot be put back: it stands between braces in one of the two versions, and not in the other',
    )
  })
})

describe('refuses what would not be exact, and says where and why', () => {
  test.each([
    [
      'an alias whose anchor says something else today',
      block('app:1')
        .replace('{ name: checkout }', '{ name: checkout, labels: &l {a: "1"} }')
        .replace('{labels: {app: checkout}}', '{labels: *l}'),
      block('app:2')
        .replace('{ name: checkout }', '{ name: checkout, labels: &l {a: "2"} }')
        .replace('{labels: {app: checkout}}', '{labels: *l, annotations: {}}'),
      '6: spec.template cannot be put back: the alias *l (line 7) and its anchor stand on different sides of its border',
    ],
    [
      'an anchor that is used outside today',
      block('app:1'),
      block('&i app:2', '        tty: true\n').replace('strategy: {}', 'strategy: {x: *i}'),
      '6: spec.template cannot be put back: the alias *i (line 14) and its anchor stand on different sides of its border',
    ],
    [
      'an explicit key',
      block('app:1'),
      `${head}spec:\n  ? template\n  : metadata: {}\n`,
      '5: spec.template is written with an explicit key (?)',
    ],
    [
      'a spec that is an alias',
      block('app:1'),
      `x: &s {template: {spec: {}}}\n${head}spec: *s\n`,
      '5: spec.template is reached through the alias *s',
    ],
    [
      'a spec with a merge key',
      block('app:1'),
      `x: &s {template: {spec: {}}}\n${head}spec: {<<: *s}\n`,
      '5: spec.template comes from a merge key (<<)',
    ],
    [
      'blank lines that would become part of it',
      block('app:1', '        command:\n        - |+\n          a\n'),
      block('app:2', '\n\n'),
      '6: spec.template cannot be put back in place as it stood: it would read differently here',
    ],
  ])('%s', (_name, good, today, message) => expect(refusal(today, good)).toBe(message))

  test('a template of Helm, and bytes that are not UTF-8', () => {
    const good = source(block('app:1'))
    const content = Buffer.from(block('{{ .Values.image }}'))
    const problem = { reason: 'GitRefusedEdit', line: 11, message: expect.stringContaining('is a template') }
    expect(graft({ ...good, content }, good, ['spec', 'template'])).toMatchObject({ ok: false, problem })
    expect(graft({ ...good, content: Buffer.from([0xff]) }, good, ['spec', 'template'])).toMatchObject({ ok: false })
  })
})

describe('of random Deployments', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/)
  const comment = fc.constantFrom('', ' # c', '\t#\ttab', '   # template: {{ x }}')
  const more = fc.constantFrom('echo a', '', '  deep', '# not a comment', 'template:')
  const script = fc.array(more, { maxLength: 4 }).map((lines) => ['run', ...lines])
  const template = fc.record({
    unit: fc.constantFrom(1, 2, 4),
    quote: fc.constantFrom('', "'", '"'),
    image: fc.tuple(word, fc.integer({ min: 1, max: 9 })).map(([name, tag]) => `${name}:${tag}`),
    env: fc.array(fc.tuple(word, word), { maxLength: 3 }),
    script: fc.option(script),
    chomp: fc.constantFrom<string>('|', '|-', '>', '>-'),
    flow: fc.boolean(),
    head: comment,
    side: comment,
    between: fc.constantFrom([], [''], ['# between'], ['', '  # deep', '']),
    tail: fc.constantFrom([], ['# tail'], ['', '# tail'], ['   # tail', '# tail']),
    first: fc.constantFrom('metadata', 'spec'),
  })
  const outside = fc.record({
    column: fc.constantFrom(1, 2, 4),
    eol: fc.constantFrom('\n', '\r\n'),
    bom: fc.boolean(),
    final: fc.boolean(),
    before: fc.constantFrom([], ['replicas: 3 # r'], ['# above', '', 'selector: {a: b}']),
    after: fc.constantFrom([], ['strategy: {}'], ['', '# below', 'paused: false'], ['# below the key']),
    preamble: fc.constantFrom('', '# only a comment\n---\n', 'kind: Service\nspec: {template: 1}\n---\n'),
    epilogue: fc.constantFrom('', '---\nkind: Other\n', '# the end\n'),
  })
  type Template = typeof template extends fc.Arbitrary<infer T> ? T : never
  type Outside = typeof outside extends fc.Arbitrary<infer T> ? T : never

  /** The lines of the value, the first right behind the colon; the others indented from the column of the key. */
  function linesOf(t: Template, column: number): string[] {
    const at = (depth: number, text: string) => (text === '' ? '' : ' '.repeat(column + depth * t.unit) + text)
    const image = `${t.quote}${t.image}${t.quote}`
    if (t.flow) {
      const env = t.env.map(([name, value]) => `{name: ${name}, value: "${value}"}`).join(', ')
      return [
        ` {metadata: {}, spec: {containers: [{image: ${image === t.image ? `"${image}"` : image},`,
        at(1, `env: [${env}]}]}}${t.side}`),
      ]
    }
    const metadata = [at(1, `metadata:${t.side}`), at(2, 'labels: {app: a}')]
    const spec = [
      at(1, 'spec:'),
      ...t.between.map((line) => at(2, line)),
      at(2, 'containers:'),
      at(2, `- image: ${image}${t.side}`),
      ...(t.env.length > 0 ? [`${at(2, '')}${at(2, '  env:')}`] : []),
      ...t.env.map(([name, value]) => at(2, `  - {name: ${name}, value: "${value}"}`)),
      ...(t.script
        ? [
            at(2, `  command:`),
            at(2, `  - ${t.chomp}`),
            ...t.script.map((line) => at(2, line === '' ? '' : `      ${line}`)),
          ]
        : []),
    ]
    // A block scalar at the end must not end in lines that could be anybody's.
    while (spec.at(-1) === '') spec.pop()
    const parts = t.first === 'spec' ? [...spec, ...metadata] : [...metadata, ...spec]
    return [t.head, ...parts, ...t.tail.map((line) => at(1, line))]
  }

  function render(o: Outside, region: string): string {
    const pad = ' '.repeat(o.column)
    const line = (text: string) => (text === '' ? '' : pad + text)
    const text = [
      ...o.preamble.split('\n').slice(0, -1),
      'apiVersion: apps/v1',
      'kind: Deployment',
      'metadata: {name: checkout}',
      'spec:',
      ...o.before.map(line),
      `${pad}template:${region}`,
      ...o.after.map(line),
      ...o.epilogue.split('\n').slice(0, -1),
    ].join(o.eol)
    return `${o.bom ? '\ufeff' : ''}${text}${o.final || o.epilogue !== '' ? o.eol : ''}`
  }

  test('the bytes outside are today’s, those inside the good commit’s, and the content is what was good', () => {
    fc.assert(
      fc.property(template, template, outside, outside, (was, became, then, today) => {
        const unfinished = !then.final || !today.final
        // Without a line end behind it, a block scalar that keeps its last line end is another text.
        const ends = (t: Template) => ({ ...t, chomp: unfinished && !/-/.test(t.chomp) ? `${t.chomp}-` : t.chomp })
        const [good, bad] = [ends(was), ends(became)]
        const goodFile = render(then, linesOf(good, then.column).join(then.eol))
        const badFile = render(today, linesOf(bad, today.column).join(today.eol))
        fc.pre(templateHash(source(goodFile).manifest) !== templateHash(source(badFile).manifest))
        const expected = render(today, linesOf(good, today.column).join(then.eol))
        expect(putBack(badFile, goodFile)).toBe(expected)
      }),
      { numRuns: 400 },
    )
  })
})
