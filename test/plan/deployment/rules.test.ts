import { expect, test } from 'vitest'
import { DeploymentWorld, version } from './world.ts'

test('smoke', () => {
  const world = new DeploymentWorld({
    steps: [
      { weight: 10, hold: '1m' },
      { weight: 50, hold: '1m' },
      { weight: 100, hold: '1m' },
    ],
  })
  let last = ''
  world.onStatus = (s) => {
    const l = `${s.phase} ${s.message}`
    if (l !== last) console.log((world.now - Date.parse('2026-01-01')) / 1000, l)
    last = l
  }
  world.onHands = (e) => console.log('   ', JSON.stringify(e))
  world.settle()
  world.release(version('v2'))
  world.wait(1200_000)
  console.log(
    JSON.stringify(world.status, null, 1),
    world.changes.map((c) => c.to),
    world.log.map((l) => l.subject),
  )
})
