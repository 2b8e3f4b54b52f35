import { createNopRouter } from '../../../src/traffic/nop/router.ts'
import { routerConformance } from '../../conformance/router.conformance.ts'

routerConformance('nop', async (weights) => {
  const router = createNopRouter(weights)
  return {
    router,
    namespace: 'shop',
    spec: (routes) => ({ istio: { virtualService: { name: 'checkout', routes } } }),
    weights: async () => router.points(),
    interfere: async (changes, manager) => router.interfere(changes, manager),
    touch: async () => router.interfere({}, 'somebody'),
    settle: async () => {},
    stop: async () => {},
  }
})
