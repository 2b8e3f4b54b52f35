import { describe, expect, test } from 'vitest'
import { readRatio, writeRatio } from '../../src/analysis/checkpoint.ts'
import type { MeshSample } from '../../src/analysis/istio.ts'
import { judge, type RatioRules, startRatio } from '../../src/analysis/ratio.ts'

const rules: RatioRules = {
  test: '99',
  objective: 99,
  tests: 1,
  alpha: 0.01,
  minRequests: 100,
  maxSampleAge: 45_000,
  stepSince: 0,
}

function sample(code: string, value: number, at: number): MeshSample {
  return {
    series: code,
    family: code,
    target: 'pod',
    value,
    scrapedAt: at,
    reporter: 'server',
    outcome: code === '503' ? 'bad' : 'good',
    cutOff: false,
  }
}

function stateAfter(looks: number) {
  let state = startRatio('99', 1_800_000_000_000)
  for (let i = 0; i <= looks; i++) {
    const at = 1_800_000_000_000 + i * 15_000
    const canary = [sample('200', 1_234_567 * i + 1, at - 10), sample('503', 12_345 * i, at - 10)]
    state = judge(state, { at, canary, stable: [] }, rules).state
  }
  return state
}

describe('checkpoint', () => {
  test('brings back evidence and totals, in less than 1 kB however long it has been', () => {
    const state = stateAfter(500)
    const text = writeRatio(state, 'some-uid-of-36-characters-in-all-abc/17')!
    expect(text.length).toBeLessThan(1024)
    expect(text).not.toContain('\n')
    const read = readRatio(text, 'some-uid-of-36-characters-in-all-abc/17')!.state
    expect(read).toMatchObject({ canary: state.canary, step: state.step, breached: state.breached, test: '99' })
    expect(read.counting.through).toBe(state.counting.through)
    read.evidence.logS.forEach((logS, j) => {
      expect(logS).toBeCloseTo(state.evidence.logS[j]!, 4)
    })
  })

  test('there is none before there is a baseline', () => {
    expect(writeRatio(startRatio('99', 0), 'a')).toBeUndefined()
  })

  test('another attempt, another version and damage are not read', () => {
    const text = writeRatio(stateAfter(2), 'a')!
    expect(readRatio(text, 'a')).toBeDefined()
    expect(readRatio(text, 'b')).toBeUndefined()
    expect(readRatio(text.replace('"v":1', '"v":2'), 'a')).toBeUndefined()
    expect(readRatio(text.slice(0, -5), 'a')).toBeUndefined()
    expect(readRatio(undefined, 'a')).toBeUndefined()
  })
})
