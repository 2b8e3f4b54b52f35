import { expect, test } from 'vitest'
import { createRemembered, type Versions } from '../../src/git/remembered.ts'

const filesOf = (files: Record<string, string>): Versions => ({
  read: async (path) => (path in files ? Buffer.from(files[path]!) : undefined),
  versionAt: async (path) => files[path],
})
/** Both files in one text, and how often that was made. */
function joined(limit = 1_000) {
  const remembered = createRemembered(limit)
  const made: string[] = []
  const of = (files: Record<string, string>, key = 'it', size = 1) =>
    remembered.of(
      key,
      filesOf(files),
      async (read) => {
        const first = await read('a')
        const text = first ? `${first} ${(await read('b')) ?? 'none'}` : 'nothing'
        made.push(text)
        return text
      },
      () => size,
    )
  return { of, made }
}

test('is not made again while the files that were read stay, whatever happens to others', async () => {
  const { of, made } = joined()
  expect(await of({ a: '1', b: '2' })).toBe('1 2')
  expect(await of({ a: '1', b: '2', c: 'new' })).toBe('1 2')
  expect(made).toHaveLength(1)
})

test('is made again when a file changes, goes, or appears where one was looked for', async () => {
  const { of } = joined()
  const states: Record<string, string>[] = [
    { a: '1', b: '2' },
    { a: '1', b: '3' },
    { a: '1' },
    { b: '3' },
    { a: '4', b: '3' },
    { a: '1', b: '2' },
  ]
  for (const files of states) {
    const expected = 'a' in files ? `${files.a} ${files.b ?? 'none'}` : 'nothing'
    expect(await of(files)).toBe(expected)
  }
})

test('two states of one thing stay side by side: a prepared commit and the tip', async () => {
  const { of, made } = joined()
  for (let i = 0; i < 5; i++) {
    expect(await of({ a: 'tip' })).toBe('tip none')
    expect(await of({ a: 'draft' })).toBe('draft none')
  }
  expect(made).toHaveLength(2)
})

test('keeps no more than its limit, and of that what was used last', async () => {
  const { of, made } = joined(10)
  for (const key of ['x', 'y', 'x', 'z']) await of({ a: key }, key, 4)
  expect(made).toHaveLength(3)
  await of({ a: 'x' }, 'x', 4)
  expect(made).toHaveLength(3)
  await of({ a: 'y' }, 'y', 4)
  expect(made).toHaveLength(4)
  expect(await of({ a: 'huge' }, 'huge', 1_000)).toBe('huge none')
  await of({ a: 'y' }, 'y', 4)
  expect(made).toHaveLength(5)
  expect(await of({ a: 'huge' }, 'huge', 1_000)).toBe('huge none')
})

test('what could not be made is tried again', async () => {
  const remembered = createRemembered(10)
  const files = filesOf({ a: '1' })
  const fail = () => Promise.reject(new Error('not now'))
  await expect(remembered.of('it', files, fail, () => 1)).rejects.toThrow('not now')
  expect(
    await remembered.of(
      'it',
      files,
      async () => 'now',
      () => 1,
    ),
  ).toBe('now')
})
