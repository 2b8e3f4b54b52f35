import { test } from 'vitest'
import { controllerConformance } from './controller.conformance.ts'
import { namedServer, sandboxServer } from './server.ts'

controllerConformance('the controller, on the sandbox’s bare API server', sandboxServer)

const named = namedServer()
if (named) controllerConformance('the controller, on a real API server', named)
else test.skip('the controller, on a real API server (none given)', () => {})
