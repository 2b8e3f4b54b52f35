import pc from 'picocolors'
import type { RevisionRecord, RolloutStatus } from '../../api/status.ts'
import type { Load } from '../../sandbox/mesh/index.ts'
import type { PodSeen } from './pods.ts'
import type { Act, Story } from './story.ts'
import type { Witness } from './witness.ts'

/** Shows what goes on: a picture that is redrawn on a terminal, a line per change elsewhere. */
export interface View {
  /** One line that stays. */
  say(line: string): void
  act(act: Act, number: number, of: number): void
  follow(story: Story, witness: Witness, load: Load): void
  /** Takes the picture away while somebody is asked something. */
  pause(paused: boolean): void
  stop(): void
}

export interface Screen {
  write(text: string): void
  isTerminal: boolean
  columns: number
}

const BAR = 30
const TICK_MS = 200

export function createView(screen: Screen, startedAt: number, now: () => number): View {
  let current: { act: Act; number: number; of: number } | undefined
  let world: Following | undefined
  let drawn = 0
  let paused = false
  let lastWeights = ''
  let lastSaid = ''
  let lastPods = ''
  let timer: NodeJS.Timeout | undefined

  function clock(): string {
    return `${((now() - startedAt) / 1000).toFixed(1).padStart(5)} s`
  }

  function erase(): void {
    if (drawn > 0) screen.write(`\x1b[${drawn}A\x1b[0J`)
    drawn = 0
  }

  function say(line: string): void {
    erase()
    screen.write(`${pc.dim(clock())}  ${line}\n`)
    draw()
  }

  function draw(): void {
    if (!screen.isTerminal || !world || !current || paused) return
    const lines = picture(world, current).map((line) => cut(line, screen.columns - 1))
    erase()
    screen.write(`${lines.join('\n')}\n`)
    drawn = lines.length
  }

  function changed(): void {
    if (!world || !current) return
    const weights = weightsText(world.witness)
    const { phase, message } = world.witness.status()
    const said = `${phase}: ${message}`
    if (!screen.isTerminal && weights !== lastWeights) say(pc.bold(`traffic      ${weights}`))
    const pods = podsText(world)
    if (!screen.isTerminal && pods !== lastPods) say(`pods         ${pods}`)
    if (!screen.isTerminal && said !== lastSaid && message) say(`${(phase ?? '').padEnd(12)} ${message}`)
    lastWeights = weights
    lastSaid = said
    lastPods = pods
  }

  return {
    say,
    act(act, number, of) {
      current = { act, number, of }
      say(pc.bold(`act ${number} of ${of}: ${act.title} (${act.version})`))
    },
    follow(story, witness, load) {
      world = { story, witness, load }
      witness.onChange(changed)
      if (screen.isTerminal) timer = setInterval(draw, TICK_MS)
    },
    pause(value) {
      paused = value
      if (value) erase()
      else draw()
    },
    stop() {
      clearInterval(timer)
      erase()
      world = undefined
    },
  }
}

interface Following {
  story: Story
  witness: Witness
  load: Load
}

function picture(world: Following, { act, number, of }: { act: Act; number: number; of: number }): string[] {
  const { witness, load } = world
  const status = witness.status()
  const counts = load.counts()
  const mine = counts.acts[act.id]
  const weights = Object.entries(witness.weights().at(-1)?.weights ?? {})
  const wide = Math.max(4, ...weights.map(([name]) => name.length))
  return [
    '',
    pc.dim(`── act ${number} of ${of} ${'─'.repeat(BAR + 24)}`),
    ...weights.map(([name, weight]) => {
      const { role, record } = standing(name, status)
      const answered = counts.versions[tagOf(record)]
      return `  ${name.padEnd(wide)} ${bar(weight, record !== undefined && record === status.canary)} ${String(weight).padStart(3)}%  ${role.padEnd(9)} ${answered ? `${answered.total} answers, ${answered.bad} bad` : ''}`
    }),
    ...replicaSets(world).map(({ workload, version, pods }) => {
      const dots = pods.map((pod) => (pod.ready ? pc.green('●') : pc.yellow('○'))).join('')
      return `  ${workload.padEnd(16)} ${version.padEnd(8)} ${dots}`
    }),
    '',
    `  clients   ${counts.sent} requests, ${mine?.bad ?? 0} bad in this act, p99 ${Math.round(mine?.latency.p99Ms ?? 0)} ms`,
    `  rollout   ${pc.bold(status.phase ?? '')} ${status.stepSummary ? `step ${status.stepSummary}` : ''}`,
    `            ${status.message ?? ''}`,
    ...(status.canary ? (status.analysis ?? []) : []).map(
      (sli) =>
        `  ${sli.name.padEnd(14)}${(sli.observed ?? 'no data').padEnd(20)} objective ${sli.objective.padEnd(14)} ${verdict(sli.verdict)}`,
    ),
  ]
}

/** What a destination is to the Rollout: in Deployment mode it is always the same two, else one for each version. */
function standing(name: string, status: RolloutStatus): { role: string; record?: RevisionRecord | undefined } {
  const { stable, canary, knownBad } = status
  if (name === stable?.name) return { role: 'stable', record: stable }
  if (name === canary?.name) return { role: 'canary', record: canary }
  if (name === 'stable') return { role: stable?.name ?? '', record: stable }
  if (name === 'canary') return { role: canary?.name ?? '', record: canary }
  return { role: knownBad?.some((bad) => bad.name === name) ? 'known bad' : '' }
}

/** The version with which the pods of a revision answer. */
function tagOf(record: RevisionRecord | undefined): string {
  return record?.image?.slice(record.image.lastIndexOf(':') + 1) ?? ''
}

/** In Deployment mode: the pods, by their ReplicaSet. */
function replicaSets({ story, witness }: Following): { workload: string; version: string; pods: PodSeen[] }[] {
  if (!story.showsPods) return []
  const sets = Map.groupBy(witness.pods(), (pod) => pod.replicaSet)
  return [...sets.values()]
    .flatMap((pods) => (pods[0] ? [{ workload: pods[0].workload, version: pods[0].version, pods }] : []))
    .sort((a, b) => (`${a.workload} ${a.version}` < `${b.workload} ${b.version}` ? -1 : 1))
}

function podsText(world: Following): string {
  return replicaSets(world)
    .map(({ workload, version, pods }) => {
      const ready = pods.filter((pod) => pod.ready).length
      return `${workload} ${version} ${ready}/${pods.length}`
    })
    .join('  ')
}

function bar(weight: number, canary: boolean): string {
  const full = Math.round((weight / 100) * BAR)
  const text = '█'.repeat(full)
  return `${canary ? pc.yellow(text) : pc.green(text)}${pc.dim('░'.repeat(BAR - full))}`
}

function verdict(text: string): string {
  return text === 'Breach' ? pc.red(text) : text === 'Pass' ? pc.green(text) : pc.dim(text)
}

function weightsText(witness: Witness): string {
  return Object.entries(witness.weights().at(-1)?.weights ?? {})
    .map(([name, weight]) => `${name} ${weight}%`)
    .join('  ')
}

/** Cuts a line at a width, escape sequences not counted. */
function cut(line: string, width: number): string {
  let shown = 0
  let out = ''
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b[')) out += part
    else {
      const rest = [...part].slice(0, Math.max(0, width - shown))
      shown += rest.length
      out += rest.join('')
    }
  }
  return out
}
