import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { commands } from '../src/cli/commands.ts'
import { systemTerminal } from '../src/cli/terminal.ts'
import { type Sandbox, startSandbox } from '../src/sandbox/sandbox.ts'

const run = promisify(execFile)
const top = fileURLToPath(new URL('../', import.meta.url))
const readme = await readFile(`${top}README.md`, 'utf8')
const hasKubectl = await run('kubectl', ['version', '--client']).then(
  () => true,
  () => false,
)

/** Every command line in the README's shell blocks, comments taken off. */
const lines = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
  block
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== ''),
)

/** How each of them is tried. A line that is not here fails: either try it, or take it out of the README. */
const tried: Record<string, string> = {
  'npm ci && npm run demo': 'by CI from a clean clone, and by test/cli/demo',
  'npm ci && npm test': 'by CI from a clean clone: this very run',
  'docker build -f deploy/Dockerfile -t registry.example.com/sluice:0.1.0 . && docker push registry.example.com/sluice:0.1.0':
    'not here: it needs a container engine and a registry',
  'kubectl apply -k deploy': 'below, with the real kubectl against the sandbox',
  'npm run sluice -- controller --kubeconfig ~/.kube/config --prometheus http://localhost:9090 --namespace shop':
    'by test/scenario, as a child process with other addresses',
}

test('every command line of the README is tried somewhere', () => {
  expect(lines.filter((line) => !(line in tried))).toEqual([])
  expect(Object.keys(tried).filter((line) => !lines.includes(line))).toEqual([])
})

test('every command that the README names exists', () => {
  const exists = new Set(commands.map((make) => make(() => undefined, systemTerminal()).name()))
  const named = [...readme.matchAll(/`sluice ([a-z]+)`/g)].map(([, name = '']) => name)
  expect(named.filter((name) => !exists.has(name))).toEqual([])
})

test('every file that the README links to is there', async () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path)
  for (const path of links.filter((link) => /\.[a-z]+$|CHANGELOG|examples|docs/.test(link))) {
    await expect(run('test', ['-e', path], { cwd: top }), path).resolves.toBeDefined()
  }
})

describe.skipIf(!hasKubectl)('with the real kubectl', () => {
  test('deploy/ is taken as it is', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-readme-'))
    let sandbox: Sandbox | undefined
    try {
      sandbox = await startSandbox({ dir })
      const env = { ...process.env, KUBECONFIG: sandbox.kubeconfig }
      const deployed = await run('kubectl', ['apply', '-k', 'deploy'], { cwd: top, env })
      expect(deployed.stdout).toContain('rollouts.sluice.dev')
      expect(deployed.stdout).toContain('deployment.apps/sluice')
      expect(deployed.stdout).toContain('validatingadmissionpolicy.admissionregistration.k8s.io/requester.sluice.dev')
    } finally {
      await sandbox?.stop()
      await rm(dir, { recursive: true, force: true })
    }
  }, 60_000)
})
