import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { editWeights, routeManifest } from '../../src/git/owned.ts'
import { placed } from '../../src/git/parts.ts'
import { treeOf } from './kustomize/memory-tree.ts'
import { rolloutRef, sourceOf, virtualService } from './shop.ts'

const folder = join(import.meta.dirname, 'corpus')
const files = readdirSync(folder).filter((file) => /\.(yaml|json)$/.test(file))
const pair = { stable: 'v1', canary: 'v2', weight: 25 }
const source = sourceOf('https://git.example.com/shop.git')

/** Brings the canary to 25 %; the file's bytes after it, or why not. */
async function edited(
  repository: Record<string, Buffer>,
  rollout = rolloutRef(),
): Promise<Map<string, Buffer> | string> {
  const tree = await treeOf(repository)
  const located = await routeManifest(tree, source, rollout)
  if (located.state === 'missing') {
    const [problem] = await tree.unreadable('VirtualService')
    return problem ? placed(problem) : 'missing'
  }
  if (located.state === 'refused') return placed(located.problem)
  const edit = await editWeights(tree, located.manifest, rollout, pair)
  return edit.ok ? new Map(edit.changes) : placed(edit.problem)
}

/** The corpus: what people write. Beside each file stands what becomes of it byte for byte (`.after`), or why nothing does (`.refused`). */
describe('of files as people write them', () => {
  test.each(files)('%s', async (file) => {
    const path = `prod/${file}`
    const name = join(folder, file.replace(/\.\w+$/, ''))
    const result = await edited({ [path]: readFileSync(join(folder, file)) })
    const after = optional(`${name}.after`)
    if (after) {
      if (typeof result === 'string') throw new Error(result)
      expect([...result.keys()]).toEqual([path])
      expect(result.get(path)!.toString('utf8')).toBe(after.toString('utf8'))
      expect(result.get(path)!.equals(after)).toBe(true)
    } else expect(result).toContain(`prod/${optional(`${name}.refused`)!.toString('utf8').trim()}`)
  })

  test('one that nests deeper than anybody reads', async () => {
    const text = `${virtualService(100, 0)}x: ${'['.repeat(30_000)}\n`
    expect(await edited({ 'prod/deep.yaml': Buffer.from(text) })).toBe(
      'prod/deep.yaml:16: is nested too deeply to be read',
    )
  })

  test('one that cannot be read keeps nobody from the others', async () => {
    const all = Object.fromEntries(files.map((file) => [`prod/${file}`, readFileSync(join(folder, file))]))
    const mine = { 'prod/mine.yaml': Buffer.from(virtualService(100, 0, 'cart')) }
    expect(await edited({ ...all, ...mine }, rolloutRef('cart'))).toEqual(
      new Map([['prod/mine.yaml', Buffer.from(virtualService(75, 25, 'cart'))]]),
    )
  })
})

function optional(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
