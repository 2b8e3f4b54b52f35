import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RevisionRecord } from '../../../src/api/status.ts'
import { fieldAt } from '../../../src/kube/field.ts'
import { DEPLOYMENTS, type HandsWorld, PODS, type Scene, startWorld } from './hands-world.ts'

let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

/** What Sluice or a person does next. `tag` is the version they want, or mean. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constantFrom('patch', 'replace', 'apply'), tag: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constantFrom('restart', 'unpause', 'scale', 'unlabel'),
      tag: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('break', 'mend'), tag: fc.constant(0) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom('look', 'resume', 'adopt', 'pause', 'scaleCanary', 'removeCanary', 'restore', 'release'),
      tag: fc.integer({ min: 0, max: 3 }),
    }),
  },
)

interface Play {
  s: Scene
  /** Versions that may have pods: stable, those Sluice or a person let go by name, those written where nothing is latched. */
  allowed: Set<string>
  /** What Sluice saw when it looked last. */
  looked: { resourceVersion: string; image: string; desired: RevisionRecord }
  stable: RevisionRecord
}

const imageOf = (s: Scene) => String(fieldAt(s.user(), 'spec', 'template', 'spec', 'containers', 0, 'image'))
const look = (s: Scene) => ({
  resourceVersion: s.user().metadata.resourceVersion ?? '',
  image: imageOf(s),
  desired: s.desired(),
})
const isLatched = (s: Scene) => {
  const { labels, annotations } = s.user().metadata
  return labels?.['sluice.dev/rollout'] !== undefined && !annotations?.['sluice.dev/break-glass']
}

async function play({ s, allowed, looked, stable }: Play, does: string, tag: number): Promise<Partial<Play>> {
  const image = `registry.example/web:${tag}`
  const user = s.user()
  switch (does) {
    case 'patch':
    case 'apply':
      s.image(image)
      return {}
    case 'replace': {
      const { managedFields: _, resourceVersion: __, ...metadata } = user.metadata
      const { paused: ___, ...spec } = structuredClone(user.spec) as Record<string, unknown>
      const template = spec.template as { spec: { containers: { image: string }[] } }
      for (const container of template.spec.containers) container.image = image
      world.api.storage.update(DEPLOYMENTS, { ...user, metadata, spec } as typeof user)
      return {}
    }
    case 'restart':
      s.edit(DEPLOYMENTS, 'web', {
        spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': String(tag) } } } },
      })
      return {}
    case 'unpause':
      s.edit(DEPLOYMENTS, 'web', { spec: { paused: null } })
      return {}
    case 'scale':
      s.edit(DEPLOYMENTS, 'web', { spec: { replicas: tag } })
      return {}
    case 'unlabel':
      s.edit(DEPLOYMENTS, 'web', { metadata: { labels: { 'sluice.dev/rollout': null } } })
      return {}
    case 'break':
      s.edit(DEPLOYMENTS, 'web', { metadata: { annotations: { 'sluice.dev/break-glass': 'now' } } })
      return {}
    case 'mend':
      s.edit(DEPLOYMENTS, 'web', { metadata: { annotations: { 'sluice.dev/break-glass': null } } })
      return {}
    case 'look':
      return { looked: look(s) }
    case 'resume':
      allowed.add(looked.image)
      await s.act({ kind: 'resume', resourceVersion: looked.resourceVersion })
      return {}
    case 'adopt':
    case 'pause':
      await s.act({ kind: 'adopt', pause: does === 'pause' })
      return {}
    case 'scaleCanary':
      await s.act({ kind: 'scaleCanary', revision: looked.desired, replicas: Math.max(1, tag) })
      return {}
    case 'removeCanary':
      await s.act({ kind: 'removeCanary' })
      return {}
    case 'restore':
      await s.act({ kind: 'restoreTemplate', to: stable })
      return {}
    default:
      await s.act({ kind: 'release', resume: tag > 1 })
      return {}
  }
}

test('whatever Sluice and people do, no pod of the Deployment runs a template that was not let go by name', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 14 }),
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 14, maxLength: 14 }),
      async (steps, pauses) => {
        const s = world.scene()
        await s.until('it runs', () => s.running().length === 2)
        const seen = new Set<string>()
        const stop = world.api.storage.subscribe(PODS, (type, pod) => {
          if (type !== 'ADDED' || pod.metadata.namespace !== s.namespace || pod.metadata.labels?.track !== 'stable')
            return
          seen.add(String(fieldAt(pod, 'spec', 'containers', 0, 'image')))
        })
        await s.act({ kind: 'adopt', pause: false })
        const stable = s.desired()
        s.target.stable = stable
        const playing: Play = { s, allowed: new Set([imageOf(s)]), looked: look(s), stable }
        for (const [at, { does, tag }] of steps.entries()) {
          const wasLatched = isLatched(s)
          Object.assign(playing, await play(playing, does, tag))
          if (!wasLatched) playing.allowed.add(imageOf(s))
          await new Promise((resolve) => setTimeout(resolve, pauses[at]))
        }
        await new Promise((resolve) => setTimeout(resolve, 30))
        stop()
        expect([...seen].filter((image) => !playing.allowed.has(image))).toEqual([])
        world.api.storage.remove({ group: '', plural: 'namespaces' }, { name: s.namespace })
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 12_000, markInterruptAsFailure: false },
  )
}, 30_000)
