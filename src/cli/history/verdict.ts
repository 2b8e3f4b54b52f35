import type { Break } from '../../git/story.ts'
import { palette } from '../paint.ts'
import type { Terminal } from '../terminal.ts'
import { clean, wrap } from '../width.ts'
import type { Entry } from './trail.ts'

interface Verified {
  repository: string
  branch: string
  tip: string
  entries: readonly Entry[]
  breaks: readonly Break[]
  limits: readonly string[]
}

/** What verification found, for people: every break with its commit, what people did, and what Git cannot prove. */
export function verdictLines(
  { repository, branch, tip, entries, breaks, limits }: Verified,
  terminal: Terminal,
): string[] {
  const colours = palette(terminal.colours)
  const width = terminal.columns ?? Number.POSITIVE_INFINITY
  const item = (text: string) => wrap(clean(text), width - 2).map((line, i) => `${i === 0 ? '- ' : '  '}${line}`)
  const rollouts = new Set(entries.map(({ rollout }) => rollout)).size
  const operations = entries.filter(({ op }) => op !== undefined).length
  const people = entries.filter(({ change }) => change !== undefined)
  const what = `${count(operations, 'operation')} of ${count(rollouts, 'Rollout')} in the branch ${branch} of ${repository}, up to ${tip.slice(0, 8)}`
  const head =
    breaks.length === 0
      ? wrap(clean(`The story is whole: ${what}.`), width).map(colours.good)
      : wrap(clean(`The story is broken in ${count(breaks.length, 'place')}: ${what}.`), width).map(colours.bad)
  return [
    ...head,
    ...breaks.flatMap((each) => item(`${each.commit.slice(0, 8)} ${each.rollout}: ${each.message}`)),
    ...(people.length > 0 ? ['Changed by people, outside of operations:'] : []),
    ...people.flatMap(({ commit, rollout, change, author }) =>
      item(
        `${commit.slice(0, 8)} ${rollout}: ${change?.what} ${change?.from ?? '?'} → ${change?.to ?? 'gone'}, by ${author}`,
      ),
    ),
    colours.faint('What Git alone cannot prove:'),
    ...limits.flatMap((limit) => item(limit).map(colours.faint)),
  ]
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
