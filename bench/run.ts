/**
 * Runs the benches one after the other, each in a process of its own.
 *
 *   npm run bench                        all of them
 *   npm run bench -- NAME [options]      one of them; its file says which options it has
 *   npm run bench -- --quick             a short form of all
 *   npm run bench -- --json              one JSON object a line and table (add --silent to npm run)
 *
 * Tables go to standard output; nothing is written into the repository. Exit code 1 when a bench could not be run, 2 for
 * a name or an option that is none.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const benches = ['fleet', 'plan', 'judge', 'thresholds', 'queries', 'idle', 'breach', 'git', 'overlays'].filter(
  (name) => existsSync(fileOf(name)),
)

const [first, ...rest] = process.argv.slice(2)
const named = first !== undefined && !first.startsWith('-')
if (named && !benches.includes(first)) {
  console.error(`there is no bench "${first}"; there are ${benches.join(', ')}`)
  process.exit(2)
}
const options = named ? rest : process.argv.slice(2)
const unknown = named ? undefined : options.find((option) => option !== '--quick' && option !== '--json')
if (unknown !== undefined) {
  console.error(
    `${unknown} is no option of all benches: name the one that is meant, as in npm run bench -- idle ${unknown}`,
  )
  process.exit(2)
}
for (const name of named ? [first] : benches) {
  if (!options.includes('--json')) console.log(`\n# ${name}\n`)
  const child = spawn(process.execPath, [fileOf(name), ...options], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) {
    console.error(`the bench ${name} ended with code ${code}`)
    process.exitCode = 1
  }
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
}
