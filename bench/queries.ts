/**
 * Prometheus queries per interval while so many rollouts are in flight.
 *
 *   node bench/queries.ts [--quick] [--json]
 *
 * Time is simulated: the counts are exact. Bar: they grow with kinds of SLIs, not with rollouts.
 */
import { parseArgs } from 'node:util'
import { countQueries, type QueryCount } from './mesh/queries.ts'
import { printer } from './table.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'boolean' } } })
const print = printer(values.json)
const intervals = values.quick ? 2 : 4
const counts: QueryCount[] = []
for (const thresholds of [[], ['500ms']]) {
  for (const rollouts of values.quick ? [1, 10, 100] : [1, 10, 100, 1_000])
    counts.push(await countQueries({ rollouts, thresholds, intervals }))
}

print.table({
  title: 'Prometheus queries of the analysis, rollouts that look one after the other',
  head: [
    'rollouts in flight',
    'SLI kinds',
    'queries per interval',
    'per rollout and interval',
    'when all start at once',
    'looks answered',
    'longest query',
  ],
  rows: counts.map((count) => [
    String(count.rollouts),
    String(count.kinds),
    String(count.perInterval),
    Number((count.perInterval / count.rollouts).toPrecision(2)).toString(),
    String(count.starting),
    `${count.answered}/${count.rollouts}`,
    `${count.longest} chars`,
  ]),
})
