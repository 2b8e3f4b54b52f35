import type { Approval } from '../../approval/object.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Paint, Palette } from '../paint.ts'
import type { Rollout } from '../rollouts.ts'
import { clean, wrap } from '../width.ts'

/** Everything a page about one Rollout is drawn from. */
export interface PageInput {
  rollout: Rollout
  /** The questions that people can still answer; left out where they were not looked up. */
  questions?: readonly Approval[]
  /** Newest first; a sentence where they cannot be read. */
  events: readonly KubeObject[] | string
  /** Epoch milliseconds. */
  now: number
  colours: Palette
  /** Columns that the lines of a section may take. */
  width: number
  /** The command line that does `verb` to this Rollout, as this person would have to write it. */
  command(verb: string): string
}

/** A labelled part of the page. Its lines fit the width. */
export interface Section {
  label: string
  lines: string[]
}

/** Returns undefined where there is nothing to say. */
export type SectionOf = (input: PageInput) => Section | undefined

/** Text from anywhere as lines that fit, each painted by itself. `indent` is for all lines but the first. */
export function paragraph(text: string, width: number, options: { paint?: Paint; indent?: number } = {}): string[] {
  const { paint = (line: string) => line, indent = 0 } = options
  const [first = '', ...rest] = wrap(clean(text), width)
  if (rest.length === 0 || indent === 0) return [first, ...rest].map(paint)
  const more = wrap(rest.join(' '), width - indent)
  return [paint(first), ...more.map((line) => ' '.repeat(indent) + paint(line))]
}

/** A command line, to be pasted whole even where it takes several lines. */
export function shellLines(command: string, width: number, paint: Paint): string[] {
  return wrap(command, width - 2).map((line, i, all) => paint(i < all.length - 1 ? `${line} \\` : line))
}

/** A count with thousands apart: `12,345`. */
export function count(events: number): string {
  return Math.round(events)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}
