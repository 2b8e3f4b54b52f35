import pico from 'picocolors'
import type { Outcome, Phase, SliStatus } from '../api/status.ts'

/** Puts a colour around text; returns it as it is where there are no colours. */
export type Paint = (text: string) => string

/** The few colours that mean something: how it is, and what is worth looking at. */
export interface Palette {
  good: Paint
  busy: Paint
  wait: Paint
  bad: Paint
  strong: Paint
  faint: Paint
}

export function palette(colours: boolean): Palette {
  const { green, cyan, yellow, red, bold, dim } = pico.createColors(colours)
  return { good: green, busy: cyan, wait: yellow, bad: red, strong: bold, faint: dim }
}

const phaseTones = {
  Pending: 'faint',
  Healthy: 'good',
  Progressing: 'busy',
  AwaitingApproval: 'wait',
  Paused: 'wait',
  Promoting: 'busy',
  RollingBack: 'bad',
  RolledBack: 'bad',
  Invalid: 'bad',
} as const satisfies Record<Phase, keyof Palette>

const resultTones = {
  Promoted: 'good',
  RolledBack: 'bad',
  Aborted: 'bad',
  Superseded: 'wait',
  Reverted: 'wait',
} as const satisfies Record<Outcome['result'], keyof Palette>

const verdictTones = {
  Pass: 'good',
  Breach: 'bad',
  Undecided: 'busy',
  NoData: 'wait',
  Error: 'wait',
} as const satisfies Record<SliStatus['verdict'], keyof Palette>

export function phasePaint(colours: Palette, phase: Phase): Paint {
  return colours[phaseTones[phase]]
}

export function resultPaint(colours: Palette, result: Outcome['result']): Paint {
  return colours[resultTones[result]]
}

export function verdictPaint(colours: Palette, verdict: SliStatus['verdict']): Paint {
  return colours[verdictTones[verdict]]
}
