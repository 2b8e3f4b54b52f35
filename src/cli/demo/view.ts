import pc from 'picocolors'
import type { RolloutStatus } from '../../api/status.ts'
import type { Load } from '../../sandbox/mesh/index.ts'
import type { Act } from './story.ts'
import type { Witness } from './witness.ts'

/** Shows what goes on: a picture that is redrawn on a terminal, a line per change elsewhere. */
export interface View {
  /** One line that stays. */
  say(line: string): void
  act(act: Act, number: number, of: number): void
  follow(witness: Witness, load: Load): void
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
  let world: { witness: Witness; load: Load } | undefined
  let drawn = 0
  let paused = false
  let lastWeights = ''
  let lastSaid = ''
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
    const lines = picture(world.witness, world.load, current).map((line) => cut(line, screen.columns - 1))
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
    if (!screen.isTerminal && said !== lastSaid && message) say(`${(phase ?? '').padEnd(12)} ${message}`)
    lastWeights = weights
    lastSaid = said
  }

  return {
    say,
    act(act, number, of) {
      current = { act, number, of }
      say(pc.bold(`act ${number} of ${of}: ${act.title} (${act.version.name})`))
    },
    follow(witness, load) {
      world = { witness, load }
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

function picture(
  witness: Witness,
  load: Load,
  { act, number, of }: { act: Act; number: number; of: number },
): string[] {
  const status = witness.status()
  const counts = load.counts()
  const mine = counts.acts[act.id]
  const weights = Object.entries(witness.weights().at(-1)?.weights ?? {})
  return [
    '',
    pc.dim(`── act ${number} of ${of} ${'─'.repeat(BAR + 24)}`),
    ...weights.map(([name, weight]) => {
      const answered = counts.versions[name]
      return `  ${name.padEnd(4)} ${bar(weight, name === status.canary?.name)} ${String(weight).padStart(3)}%  ${role(name, status).padEnd(9)} ${answered ? `${answered.total} answers, ${answered.bad} bad` : ''}`
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

function role(name: string, status: RolloutStatus): string {
  if (name === status.stable?.name) return 'stable'
  if (name === status.canary?.name) return 'canary'
  return status.knownBad?.some((bad) => bad.name === name) ? 'known bad' : ''
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
