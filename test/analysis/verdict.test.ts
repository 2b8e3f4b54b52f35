import { describe, expect, test } from 'vitest'
import {
  log10Evidence,
  objectiveText,
  observedText,
  percentGood,
  stableFails,
  verdictOf,
} from '../../src/analysis/verdict.ts'

const input = { logEvidence: 0, total: { n: 1000, k: 5 }, objective: 99, tests: 2, alpha: 0.01, minRequests: 100 }

describe('verdict', () => {
  test('breach at exactly tests/alpha, not below', () => {
    expect(verdictOf({ ...input, logEvidence: Math.log(200) })).toBe('Breach')
    expect(verdictOf({ ...input, logEvidence: Math.log(199.9) })).toBe('Pass')
  })

  test('four bad events are never a breach', () => {
    expect(verdictOf({ ...input, logEvidence: 50, total: { n: 4, k: 4 } })).toBe('Undecided')
  })

  test('nothing is known without events', () => {
    const none = { ...input, total: { n: 0, k: 0 }, logEvidence: Number.NEGATIVE_INFINITY, minRequests: 0 }
    expect(verdictOf(none)).toBe('Undecided')
  })

  test('too few events, or a share outside the objective without proof, is undecided', () => {
    expect(verdictOf({ ...input, total: { n: 99, k: 0 } })).toBe('Undecided')
    expect(verdictOf({ ...input, total: { n: 1000, k: 11 } })).toBe('Undecided')
    expect(verdictOf({ ...input, total: { n: 1000, k: 10 } })).toBe('Pass')
  })

  test('stable fails by its observed share and five bad events', () => {
    expect(stableFails({ n: 100, k: 5 }, 99)).toBe(true)
    expect(stableFails({ n: 4, k: 4 }, 99)).toBe(false)
    expect(stableFails({ n: 1000, k: 9 }, 99)).toBe(false)
  })
})

describe('words for people', () => {
  test('one bad event in a million is not 100 %', () => {
    expect(percentGood({ n: 1_000_000, k: 1 })).toBe('99.99 %')
    expect(percentGood({ n: 1_000_000, k: 0 })).toBe('100.00 %')
    expect(percentGood({ n: 1000, k: 69 })).toBe('93.10 %')
  })

  test('objectives and observations have the same shape', () => {
    const latency = { name: 'l', latency: { objective: 99, threshold: '500ms' } }
    expect(objectiveText(latency)).toBe('99 % < 500ms')
    expect(observedText(latency, { n: 1000, k: 28 })).toBe('97.20 % < 500ms')
    expect(objectiveText({ name: 's', successRate: { objective: 99.5 } })).toBe('99.5 %')
    expect(observedText({ name: 's', successRate: { objective: 99.5 } }, { n: 0, k: 0 })).toBeUndefined()
    expect(objectiveText({ name: 'q', query: { promql: 'x', max: 100, failureLimit: 3 } })).toBe('at most 100')
    expect(objectiveText({ name: 'q', query: { promql: 'x', min: 1, max: 2, failureLimit: 3 } })).toBe('1 to 2')
  })

  test('evidence is shown as a decimal logarithm', () => {
    expect(log10Evidence(Math.log(100))).toBe(2)
    expect(log10Evidence(Number.NEGATIVE_INFINITY)).toBeUndefined()
  })
})
