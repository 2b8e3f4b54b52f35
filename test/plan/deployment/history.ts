import fc from 'fast-check'
import { type Common, common, declaration, ending, happen, happens, killing, type Setup, setup } from '../commands.ts'
import { create, tick, write } from './cluster.ts'
import type { Template } from './native.ts'
import { watch } from './watch.ts'
import { DeploymentWorld, version } from './world.ts'

type By = 'git' | 'kubectl' | 'replace'

/** One thing that happens to a Rollout of a Deployment. */
export type Command =
  | Common
  | { do: 'template'; to: Template; by: By }
  | { do: 'restart' }
  | { do: 'scale'; replicas: number }
  | { do: 'glass'; on: boolean }
  | { do: 'unlabel' }
  | { do: 'policy'; on: boolean }
  | { do: 'pause'; on: boolean }
  | { do: 'deployment'; state: 'deleted' | 'recreated' }
  | { do: 'canary'; state: 'deleted' | 'scaled' | 'edited' }
  | { do: 'never'; tag: string; on: boolean }
  | { do: 'down'; who: 'my-app' | 'my-app-canary'; on: boolean }
  | { do: 'breach'; name: string; on: boolean }
  | { do: 'refused'; on: boolean }
  | { do: 'misfit'; on: boolean }
  | { do: 'engine'; on: boolean }
  | { do: 'stale'; ms: number }

export interface DeploymentSetup extends Setup {
  latch: 'Admission' | 'Pause'
  canaryReplicas: 'Proportional' | number | string
  replicas: number
  autoscaled: boolean
  maxUnavailable: number
  lagging: boolean
  /** How far v2 has come when things begin to happen. */
  from: 'start' | 'exposed' | 'last' | 'rolling'
}

export interface History {
  setup: DeploymentSetup
  commands: Command[]
}

const on = fc.boolean()
const tag = fc.constantFrom('v2', 'v2', 'v3', 'v1')
const template: fc.Arbitrary<Template> = fc.record({
  tag,
  env: fc.constantFrom('', '', 'x'),
  restart: fc.constant(0),
})

const own: fc.WeightedArbitrary<Command>[] = [
  {
    weight: 5,
    arbitrary: happens<Command>('template', {
      to: template,
      by: fc.constantFrom<By[]>('git', 'git', 'git', 'kubectl', 'replace'),
    }),
  },
  { weight: 1, arbitrary: happens<Command>('restart', {}) },
  { weight: 2, arbitrary: happens<Command>('scale', { replicas: fc.constantFrom(0, 1, 4, 6, 10) }) },
  { weight: 1, arbitrary: happens<Command>('glass', { on }) },
  { weight: 1, arbitrary: happens<Command>('unlabel', {}) },
  { weight: 1, arbitrary: happens<Command>('policy', { on }) },
  { weight: 1, arbitrary: happens<Command>('pause', { on }) },
  { weight: 1, arbitrary: happens<Command>('deployment', { state: fc.constantFrom('deleted', 'recreated') }) },
  { weight: 1, arbitrary: happens<Command>('canary', { state: fc.constantFrom('deleted', 'scaled', 'edited') }) },
  { weight: 2, arbitrary: happens<Command>('never', { tag: fc.constantFrom('v1', 'v2', 'v2', 'v3'), on }) },
  { weight: 2, arbitrary: happens<Command>('down', { who: fc.constantFrom('my-app', 'my-app-canary'), on }) },
  { weight: 3, arbitrary: happens<Command>('breach', { name: tag, on }) },
  { weight: 1, arbitrary: happens<Command>('refused', { on }) },
  { weight: 1, arbitrary: happens<Command>('misfit', { on }) },
  { weight: 1, arbitrary: happens<Command>('engine', { on }) },
  { weight: 2, arbitrary: happens<Command>('stale', { ms: fc.constantFrom(0, 0, 5_000) }) },
]

const command: fc.Arbitrary<Command> = fc.oneof(
  ...common,
  { weight: 10, arbitrary: happens<Command>('time', { ms: fc.constantFrom(30_000, 75_000, 150_000) }) },
  ...own,
)

const deploymentSetup: fc.Arbitrary<DeploymentSetup> = fc
  .tuple(
    setup,
    fc.record({
      latch: fc.constantFrom('Admission' as const, 'Admission' as const, 'Admission' as const, 'Pause' as const),
      canaryReplicas: fc.constantFrom('Proportional' as const, 'Proportional' as const, 1, 3, '50%'),
      replicas: fc.constantFrom(1, 4, 4, 10),
      autoscaled: on,
      maxUnavailable: fc.constantFrom(0, 1),
      lagging: fc.constantFrom(false, false, true),
      from: fc.constantFrom('start' as const, 'exposed' as const, 'last' as const, 'rolling' as const),
    }),
  )
  .map(([a, b]) => ({ ...a, ...b }))

/** Histories of a Rollout that begins to release v2, and of everything that gets in its way. */
export function histories(maxLength = 12): fc.Arbitrary<History> {
  return fc
    .tuple(deploymentSetup, fc.array(command, { minLength: 1, maxLength }), ending)
    .map(([declared, body, end]) => ({ setup: declared, commands: [...body, ...end] }))
}

/** The world that a setup describes, with v1 running. */
export function begin(declared: DeploymentSetup): DeploymentWorld {
  const { latch, canaryReplicas, replicas } = declared
  const { steps, analysis } = declaration(declared)
  const spec = { steps, analysis: { ...analysis, interval: '30s' } }
  const world = new DeploymentWorld(spec, { replicas, deployment: { latch, canaryReplicas } })
  world.commits = declared.commits
  world.gitMode = declared.mode
  world.lagging = declared.lagging
  const { cluster } = world
  if (cluster.deployment) cluster.deployment.maxUnavailable = declared.maxUnavailable
  if (declared.autoscaled) cluster.autoscaler = { min: 1, max: 12, demand: replicas }
  if (declared.twoRoutes) world.second = { ...world.points }
  return world
}

function hasCome(world: DeploymentWorld, to: DeploymentSetup['from']): boolean {
  switch (to) {
    case 'start':
      return true
    case 'exposed':
      return world.weight > 0
    case 'last':
      return world.weight === 100
    case 'rolling':
      return world.status.deployment?.promotion?.resumedAt !== undefined
  }
}

/** Plays a history and looks at everything that can be seen from outside all the while. `kill` says which reconcile dies where. */
export function play(
  history: History,
  kill?: (reconcile: number) => number | undefined,
  onStatus?: (status: DeploymentWorld['status']) => void,
): DeploymentWorld {
  const { setup: declared, commands } = history
  const world = begin(declared)
  const watcher = watch(world)
  const watched = world.onStatus
  if (onStatus)
    world.onStatus = (status) => {
      watched?.(status)
      onStatus(status)
    }
  if (kill) world.mishap = killing(kill)
  world.settle()
  world.release(version('v2'))
  world.settle()
  world.mishap = undefined
  for (let i = 0; i < 100 && !hasCome(world, declared.from); i++) {
    world.approve()
    world.wait(10_000, () => hasCome(world, declared.from))
  }
  if (kill) world.mishap = killing(kill)
  for (const c of commands) {
    if (world.gone) break
    happenHere(world, c, declared)
    if (!world.gone) world.settle()
    watcher.after()
  }
  world.mishap = undefined
  watcher.end()
  return world
}

function happenHere(world: DeploymentWorld, c: Command, declared: Setup): void {
  const { cluster } = world
  const d = cluster.deployment
  const canary = cluster.canary?.until === undefined ? cluster.canary : undefined
  switch (c.do) {
    case 'time':
      world.wait(c.ms)
      return
    case 'template':
      world.release(c.to, c.by)
      return
    case 'restart':
      world.restart()
      return
    case 'scale':
      if (cluster.autoscaler && c.replicas > 0) cluster.autoscaler.demand = c.replicas
      write(cluster, 'people', (it) => {
        it.replicas = c.replicas
      })
      break
    case 'glass':
      cluster.breakGlass = c.on
      write(cluster, 'people', () => undefined)
      break
    case 'unlabel':
      write(cluster, 'people', () => {
        cluster.labelled = false
      })
      break
    case 'policy':
      cluster.policy = c.on
      break
    case 'pause':
      write(cluster, 'people', (it) => {
        it.paused = c.on
      })
      break
    case 'deployment':
      cluster.deployment = undefined
      cluster.labelled = false
      if (c.state === 'recreated') create(cluster, world.gitTemplate, d?.replicas || 4)
      break
    case 'canary':
      if (canary && c.state === 'deleted') cluster.canary = undefined
      if (canary && c.state === 'scaled') canary.deployment.replicas = 1
      if (canary && c.state === 'edited') canary.deployment.template = version('v9')
      break
    case 'never':
      for (const env of ['', 'x']) {
        cluster.neverReady = cluster.neverReady.filter((content) => content !== `${c.tag}/${env}`)
        if (c.on) cluster.neverReady.push(`${c.tag}/${env}`)
      }
      break
    case 'down':
      cluster.down = cluster.down.filter((who) => who !== c.who)
      if (c.on) cluster.down.push(c.who)
      break
    case 'breach':
      if (c.on) world.breaching.add(c.name)
      else world.breaching.delete(c.name)
      return
    case 'refused':
      world.refused = c.on
      return
    case 'misfit':
      cluster.misfit = c.on
      return
    case 'engine':
      world.engine = c.on
      return
    case 'stale': {
      const { points, writer, resourceVersion } = world
      world.cached = structuredClone({ points, writer, resourceVersion })
      world.seen = structuredClone(cluster)
      world.settle()
      if (c.ms > 0 && !world.gone) {
        world.advance(c.ms)
        world.settle()
      }
      world.cached = undefined
      world.seen = undefined
      return
    }
    default:
      happen(world, c, declared)
      return
  }
  tick(cluster, (content, excuse) => world.onBirth?.(content, excuse))
}
