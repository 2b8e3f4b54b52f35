import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { generated } from '../../src/api/generate.ts'

test.each(Object.entries(generated()))('%s is what the schemas say (npm run generate)', async (path, text) => {
  expect(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')).toBe(text)
})
