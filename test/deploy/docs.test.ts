import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { phases } from '../../src/api/status.ts'
import { commands } from '../../src/cli/commands.ts'
import { systemTerminal } from '../../src/cli/terminal.ts'
import { errors } from '../../src/errors.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { render, top } from './kustomize.ts'
import { isThere, output } from './program.ts'

const page = (name: string) => readFileSync(`${top}docs/${name}.md`, 'utf8')
const operate = page('operate')
const section = (heading: string) => operate.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? ''
/** What the first column of a section's table names in code. */
const named = (heading: string) =>
  [...section(heading).matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )

const hasPromtool = await isThere('promtool', '--version')
const exported = [...(await createMetrics().render()).body.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
const rules = render('deploy/components/prometheusrule')

describe('docs/operate.md', () => {
  test('tells every metric, and none that is gone', () => {
    expect(named('Metrics').sort()).toEqual(exported.sort())
  })

  test('tells every phase, and none that is gone', () => {
    expect(named('Phases')).toEqual([...phases])
  })

  test('tells every reason of a condition that the table of errors does not tell, and none that is gone', () => {
    const sources = readdirSync(`${top}src/plan`, { recursive: true, encoding: 'utf8' }).filter((f) =>
      f.endsWith('.ts'),
    )
    const text = sources.map((file) => readFileSync(`${top}src/plan/${file}`, 'utf8')).join('\n')
    const lines = text.split('\n').filter((line) => /\breason: /.test(line))
    const said = new Set(
      lines.flatMap((line) => {
        const value = line.slice(line.indexOf('reason: ')).replace(/(message|phase|result|verdict): .*/, '')
        return [...value.matchAll(/['`]([A-Z][A-Za-z]+)/g)].map(([, reason = '']) => reason)
      }),
    )
    const known = new Set([...named('Conditions'), ...phases, ...Object.keys(errors)])
    expect([...said].filter((reason) => !known.has(reason))).toEqual([])
    expect(named('Conditions').filter((reason) => !new RegExp(`['\`]${reason}\\b`).test(text))).toEqual([])
  })

  test('tells every alert, and none that is gone', () => {
    const alerts = rules.flatMap(({ spec }) => spec.groups.flatMap((group: { rules: object[] }) => group.rules))
    expect(named('Alerts')).toEqual(alerts.map(({ alert }) => alert))
  })
})

describe('alerts', () => {
  test('ask for metrics that exist', () => {
    const asked = JSON.stringify(rules).match(/sluice_[a-z_]+/g) ?? []
    const series = (name: string) => name.replace(/_bucket$/, '')
    expect(asked.map(series).filter((name) => !exported.includes(name))).toEqual([])
  })

  test.skipIf(!hasPromtool)('are rules that Prometheus takes', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-alerts-'))
    try {
      for (const { spec } of rules) {
        const file = join(dir, 'rules.yaml')
        await writeFile(file, JSON.stringify(spec))
        expect(await output('promtool', ['check', 'rules', file])).toContain('SUCCESS')
      }
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})

const pages = readdirSync(`${top}docs`)
  .filter((name) => name.endsWith('.md'))
  .map((name) => name.replace('.md', ''))
const others = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']

test.each([...pages.map((name) => `docs/${name}.md`), ...others])(
  '%s links to what is there, and to headings that exist',
  (name) => {
    for (const [, target = ''] of readFileSync(top + name, 'utf8').matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? top + name : join(dirname(top + name), path)
      expect(existsSync(file), target).toBe(true)
      if (anchor === undefined) continue
      const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
        text
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      )
      const ids = [...readFileSync(file, 'utf8').matchAll(/ id="([^"]+)"/g)].map(([, id = '']) => id)
      expect([...headings, ...ids], target).toContain(anchor)
    }
  },
)

test('every page can be found from the README', () => {
  const readme = readFileSync(`${top}README.md`, 'utf8')
  expect(pages.filter((name) => !readme.includes(`docs/${name}.md`))).toEqual([])
})

test('every sluice command that the pages name exists', () => {
  const terminal = systemTerminal()
  const exists = new Set(commands.map((make) => make(() => undefined, terminal).name()))
  const inPages = pages.flatMap((name) =>
    [...page(name).matchAll(/(?:^|`)sluice ([a-z]+)/gm)].map(([, verb = '']) => verb),
  )
  expect(inPages.length).toBeGreaterThan(5)
  expect([...new Set(inPages)].filter((verb) => !exists.has(verb))).toEqual([])
})

test('the values that docs/install.md names are values of the chart', () => {
  const values = parse(readFileSync(`${top}deploy/helm/values.yaml`, 'utf8'))
  const [, helm = ''] = /## With Helm\n([\s\S]*?)\n## /.exec(page('install')) ?? []
  const paths = [...helm.matchAll(/`([a-z][A-Za-z]+(?:\.[A-Za-z]+)?)(?:=\S+)?`/g)].map(([, path = '']) => path)
  const missing = paths.filter((path) => {
    const [first = '', second] = path.split('.')
    return second === undefined ? !(first in values) && first !== 'false' : !(second in (values[first] ?? {}))
  })
  expect(missing).toEqual([])
})
