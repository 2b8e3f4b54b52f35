import { describe, expect, test } from 'vitest'
import { listModel, listQuery, PAGE_ROWS } from '../../../src/server/page/list.ts'
import { inFlight, objectOf } from './fixtures.ts'

const query = (text = '') => listQuery(new URLSearchParams(text))

describe('the list', () => {
  const objects = [
    objectOf('a', 'fine', { phase: 'Healthy' }),
    objectOf('b', 'broken', { phase: 'RolledBack', message: 'success-rate 93 %' }),
    objectOf('a', 'moving', inFlight()),
    objectOf('b', 'asks', { ...inFlight(), phase: 'AwaitingApproval' }),
  ]

  test('those that want attention are first', () => {
    expect(listModel(objects, query()).rows.map(({ name }) => name)).toEqual(['broken', 'asks', 'moving', 'fine'])
  })

  test.each([
    ['q=93', ['broken']],
    ['q=b/ ask', ['asks']],
    ['phase=Healthy', ['fine']],
    ['namespace=a', ['moving', 'fine']],
    ['q=nothing', []],
    ['page=9', ['broken', 'asks', 'moving', 'fine']],
    ['page=-1&phase=', ['broken', 'asks', 'moving', 'fine']],
  ])('%s', (text, names) => {
    expect(listModel(objects, query(text)).rows.map(({ name }) => name)).toEqual(names)
  })

  test('weight and steps are shown while a canary is tried, and only then', () => {
    const [, , moving, fine] = listModel(objects, query()).rows
    expect(moving).toMatchObject({ weight: 10, step: 1, steps: 3, canary: 'v2-abc' })
    expect(fine).toMatchObject({ step: 0 })
    expect(fine?.weight).toBeUndefined()
  })

  test('ten thousand Rollouts are read page by page', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => objectOf('ns', `app-${String(i).padStart(5, '0')}`))
    const view = listModel(many, query('page=3'))
    expect(view).toMatchObject({ found: 10_000, pages: 10_000 / PAGE_ROWS })
    expect(view.rows[0]?.name).toBe('app-00100')
  })

  test('what another version of Sluice, or nobody, has written does no harm', () => {
    const odd = { ...objectOf('x', 'odd'), status: { phase: 7, step: 'no', stepSummary: 'a/b', canary: [] } }
    expect(listModel([odd], query()).rows).toMatchObject([{ phase: 'Unseen', step: 0, steps: 3 }])
  })
})
