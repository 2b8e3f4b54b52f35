import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeRequest, type RequestDetails, readRequest, requestAnnotation } from '../../src/approval/request.ts'

const read = (text: string, more: Record<string, string> = {}) => readRequest({ [requestAnnotation]: text, ...more })

test('no annotation, or an empty one, asks for nothing', () => {
  expect(readRequest(undefined)).toEqual({ kind: 'None' })
  expect(readRequest({ other: 'x' })).toEqual({ kind: 'None' })
  expect(read(' ')).toEqual({ kind: 'None' })
})

test('a request that was made is read back whole', () => {
  const details = fc.record(
    {
      revision: fc.string({ minLength: 1, maxLength: 253 }),
      step: fc.nat(1000),
      reason: fc.string({ maxLength: 200 }),
      full: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  const verb = fc.constantFrom(
    'pause' as const,
    'resume' as const,
    'promote' as const,
    'abort' as const,
    'retry' as const,
  )
  fc.assert(
    fc.property(verb, details, fc.uuid(), (kind, given: RequestDetails, id) => {
      expect(read(makeRequest(kind, given, id))).toEqual({ kind: 'Request', request: { id, verb: kind, ...given } })
    }),
  )
})

test('the requester is who the admission policy says, never who the request says', () => {
  const text = JSON.stringify({ id: '1', verb: 'abort', by: 'user:boss' })
  expect(read(text)).toEqual({ kind: 'Request', request: { id: '1', verb: 'abort' } })
  expect(read(text, { 'sluice.dev/requested-by': 'user:eve' })).toMatchObject({ request: { by: 'user:eve' } })
})

describe('what cannot be understood is void, with a sentence', () => {
  test.each([
    ['pause', 'is not JSON'],
    ['{"verb":"pause"}', 'id'],
    ['{"id":"7","verb":"delete"}', 'verb must be one of pause, resume, promote, abort, retry'],
    ['{"id":"7","verb":"promote","step":1.5}', 'step'],
    ['[1]', 'cannot be understood'],
    ['null', 'cannot be understood'],
  ])('%s', (text, part) => {
    const reading = read(text)
    expect(reading.kind).toBe('Void')
    if (reading.kind !== 'Void') return
    expect(reading.problem.message).toContain(part)
    expect(reading.problem.reason).toBe('RequestVoid')
  })

  test('under its own id when it has one, else under one that stays the same', () => {
    expect(read('{"id":"7","verb":"delete"}')).toMatchObject({ id: '7', verb: 'delete' })
    const [one, again, other] = [read('nonsense'), read('nonsense'), read('nonsense!')]
    expect(again).toEqual(one)
    expect(other).not.toEqual(one)
  })

  test('no text makes the reader throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void read(text)))
  })
})

test('a request that would be too long is not made', () => {
  expect(() => makeRequest('abort', { reason: 'x'.repeat(1001) }, '1')).toThrow()
})
