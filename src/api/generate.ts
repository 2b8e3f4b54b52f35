import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { crdFiles } from './crd.ts'

const folder = fileURLToPath(new URL('../../crds/', import.meta.url))
mkdirSync(folder, { recursive: true })
for (const [name, yaml] of Object.entries(crdFiles())) writeFileSync(`${folder}${name}`, yaml)
