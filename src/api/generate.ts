import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crdFiles } from './crd.ts'
import { pages } from './reference.ts'

/** Everything that is generated from the schemas and the error table, by path from the top of the repository. */
export function generated(): Record<string, string> {
  const prefixed = (folder: string, files: Record<string, string>) =>
    Object.entries(files).map(([name, text]): [string, string] => [`${folder}/${name}`, text])
  return Object.fromEntries([...prefixed('crds', crdFiles()), ...prefixed('docs', pages())])
}

const top = fileURLToPath(new URL('../../', import.meta.url))

if (import.meta.main) {
  for (const [path, text] of Object.entries(generated())) {
    mkdirSync(dirname(`${top}${path}`), { recursive: true })
    writeFileSync(`${top}${path}`, text)
  }
}
