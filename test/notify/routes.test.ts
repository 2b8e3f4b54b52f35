import { describe, expect, test } from 'vitest'
import { type NotifyTarget, notify, topics } from '../../src/api/notify.ts'
import { controllerConfig } from '../../src/config.ts'
import { placesFor, routesOf, type Wishes } from '../../src/notify/routes.ts'

const own: Wishes['controller'] = { slackChannel: '#deploys', webhook: true }
const slack = (channel: string, on?: NotifyTarget['on']): NotifyTarget => ({
  slack: { channel },
  ...(on ? { on } : {}),
})
const told = (wishes: Partial<Wishes>, topic: (typeof topics)[number]) =>
  placesFor(routesOf({ controller: own, ...wishes }), topic).map((place) =>
    place.kind === 'slack' ? place.channel : place.kind === 'own' ? 'own' : (place.url ?? place.secret?.name),
  )
const shop = (...targets: NotifyTarget[]) => ({ namespace: 'shop', notify: targets })

describe('who is told', () => {
  test('the Rollout says, else its source, else the controller', () => {
    expect(told({}, 'rolledBack')).toEqual(['#deploys', 'own'])
    expect(told({ source: shop(slack('#source')) }, 'rolledBack')).toEqual(['#source'])
    expect(told({ rollout: shop(slack('#mine')), source: shop(slack('#source')) }, 'rolledBack')).toEqual(['#mine'])
  })

  test('an empty list is nobody, at each of the two', () => {
    expect(told({ rollout: shop(), source: shop(slack('#source')) }, 'rolledBack')).toEqual([])
    expect(told({ source: shop() }, 'rolledBack')).toEqual([])
  })

  test('a place that is named twice is told once, of both', () => {
    const rollout = shop(slack('#a', ['promoted']), slack('#a', ['rolledBack']), slack('#b', ['rolledBack']))
    expect(told({ rollout }, 'promoted')).toEqual(['#a'])
    expect(told({ rollout }, 'rolledBack')).toEqual(['#a', '#b'])
  })

  test('the Secret of a webhook is looked for where the target is declared', () => {
    const target = notify.parse([{ webhook: { secretRef: { name: 'hook' } } }])
    const routes = routesOf({ source: { namespace: 'delivery', notify: target }, controller: own })
    expect(placesFor(routes, 'promoted')).toEqual([
      { kind: 'webhook', secret: { namespace: 'delivery', name: 'hook' } },
    ])
  })
})

describe('of what', () => {
  const usual = ['approval', 'promoted', 'rolledBack', 'paused', 'stuck', 'override']
  const heardBy = (wishes: Partial<Wishes>, name: string) =>
    topics.filter((topic) => told(wishes, topic).includes(name))

  test('webhooks hear the usual, Slack follows the rollout in its thread besides', () => {
    const target = notify.parse([{ webhook: { url: 'https://x.example' } }, { slack: { channel: '#a' } }])
    const rollout = { namespace: 'shop', notify: target }
    expect(heardBy({ rollout }, 'https://x.example')).toEqual(usual)
    expect(heardBy({ rollout }, '#a')).toEqual(['started', 'step', ...usual])
    expect(heardBy({}, 'own')).toEqual(usual)
    expect(heardBy({}, '#deploys')).toEqual(['started', 'step', ...usual])
  })

  test('what SLUICE_NOTIFY_ON names is what the controller’s own places hear; a word it does not know is refused', () => {
    const { notifyOn } = controllerConfig({}, { SLUICE_NOTIFY_ON: 'rolledBack, stuck' })
    expect(heardBy({ controller: { ...own, on: notifyOn } }, 'own')).toEqual(['rolledBack', 'stuck'])
    expect(controllerConfig({}, {}).notifyOn).toBeUndefined()
    expect(() => controllerConfig({}, { SLUICE_NOTIFY_ON: 'rollback' })).toThrow(
      'SLUICE_NOTIFY_ON names "rollback"; known are started, step',
    )
  })

  test('what a target names, and only that', () => {
    expect(heardBy({ rollout: shop(slack('#a', ['git', 'step'])) }, '#a')).toEqual(['step', 'git'])
    expect(heardBy({ controller: { ...own, on: ['rolledBack'] } }, 'own')).toEqual(['rolledBack'])
  })
})
