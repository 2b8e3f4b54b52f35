import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A file that browsers fetch once. */
export interface Asset {
  body: string
  type: string
  /** Changes with the content. */
  etag: string
}

const files: Readonly<Record<string, string>> = {
  'page.css': 'text/css; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
}

/** The files under browser/, read when they are first asked for, and sent as they are: there is nothing to build. */
export function createAssets(): (name: string) => Promise<Asset | undefined> {
  const read = new Map<string, Promise<Asset>>()
  return async (name) => {
    const type = Object.hasOwn(files, name) ? files[name] : undefined
    if (type === undefined) return undefined
    const known = read.get(name) ?? load(name, type)
    read.set(name, known)
    return known
  }
}

async function load(name: string, type: string): Promise<Asset> {
  const body = await readFile(join(import.meta.dirname, 'browser', name), 'utf8')
  return { body, type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}
