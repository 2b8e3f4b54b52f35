import { meshWorld } from '../sandbox/mesh/mesh-world.ts'
import { meshConformance } from './mesh.conformance.ts'

meshConformance('the sandbox', async () => {
  const world = await meshWorld()
  for (const name of ['v1', 'v2']) {
    await world.version(name)
    await world.ready(name, 1)
  }
  return {
    async ask(request) {
      const { status, headers } = await world.ask(request)
      const version = headers['x-version']
      return { status, version: typeof version === 'string' ? version : undefined }
    },
    async route(http) {
      world.route(http)
      await world.mesh.settled()
    },
    count: (labels) => world.count(labels),
    workloads: { v1: 'checkout-v1', v2: 'checkout-v2' },
    stop: () => world.stop(),
  }
})
