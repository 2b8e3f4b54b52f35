import type { KubeObject } from '../../kube/object.ts'
import { commandLine } from '../command-line.ts'
import { page } from '../page/page.ts'
import { palette } from '../paint.ts'
import { rolloutTable } from '../rollout-table.ts'
import type { Rollout } from '../rollouts.ts'
import type { Terminal } from '../terminal.ts'
import type { WatchFlags } from '../watch.ts'
import { clean, wrap } from '../width.ts'
import { clock, stateText } from './line.ts'
import { createScreen } from './screen.ts'

/** Shows what a watch sees. */
export interface View {
  changed(rollout: Rollout): void
  gone(key: string): void
  /** A sentence about the watch itself. */
  note(text: string): void
  /** Everything as it is now. */
  draw(rollouts: readonly Rollout[]): void
}

/** For pipes and logs: every change that can be seen in its line is one. Notes go to standard error. */
export function lineView(terminal: Terminal): View {
  const said = new Map<string, string>()
  const now = () => clock(terminal.runtime.now())
  return {
    changed(rollout) {
      const key = `${rollout.namespace}/${rollout.name}`
      const text = stateText(rollout)
      if (said.get(key) === text) return
      said.set(key, text)
      terminal.out(`${now()} ${text}\n`)
    },
    gone(key) {
      said.delete(key)
      terminal.out(`${now()} ${key} deleted\n`)
    },
    note: (text) => terminal.err(`sluice: ${clean(text)}\n`),
    draw: () => {},
  }
}

/** For machines: every version of a Rollout is one line of JSON, in the form of the API's own watch. */
export function jsonView(terminal: Terminal): View {
  const last = new Map<string, KubeObject>()
  const tell = (type: 'MODIFIED' | 'DELETED', object: KubeObject) =>
    terminal.out(`${JSON.stringify({ type, object })}\n`)
  return {
    changed({ namespace, name, object }) {
      last.set(`${namespace}/${name}`, object)
      tell('MODIFIED', object)
    },
    gone(key) {
      const object = last.get(key)
      last.delete(key)
      if (object) tell('DELETED', object)
    },
    note: (text) => terminal.err(`sluice: ${clean(text)}\n`),
    draw: () => {},
  }
}

/** For a screen: one Rollout as a page, several as a table, drawn in place. */
export function screenView(options: { terminal: Terminal; single: boolean; flags: WatchFlags }): View {
  const { terminal, single, flags } = options
  const screen = createScreen(terminal)
  const colours = palette(terminal.colours)
  let note = ''
  let last: readonly Rollout[] = []

  function lines(rollouts: readonly Rollout[]): string[] {
    const now = terminal.runtime.now()
    const width = terminal.columns ?? 80
    const [first] = rollouts
    if (!first) return ['No Rollouts yet.']
    if (!single) return rolloutTable(rollouts, { now, colours, namespaces: !!flags.allNamespaces, wide: false, width })
    const command = (verb: string) => commandLine(verb, first, flags)
    return page({ rollout: first, events: [], now, colours, width: Math.min(width, 100), command })
  }

  function draw(rollouts: readonly Rollout[]): void {
    last = rollouts
    const below = note === '' ? [] : ['', ...wrap(clean(note), terminal.columns ?? 80).map(colours.wait)]
    screen.draw([...lines(rollouts), ...below])
  }

  return {
    changed: () => {
      note = ''
    },
    gone: () => {},
    note(text) {
      note = text
      draw(last)
    },
    draw,
  }
}
