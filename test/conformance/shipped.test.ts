import { test } from 'vitest'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { rawClient } from './apiserver.client.ts'
import { realApiServer } from './apiserver.real.ts'
import { shippedConformance } from './shipped.conformance.ts'

shippedConformance('what is shipped, on the sandbox', async () => {
  const server = await startApiServer()
  return { client: rawClient(server.url, server.token()), controllers: true, stop: () => server.stop() }
})

const real = realApiServer()
if (real) shippedConformance('what is shipped, on a real API server', real)
else test.skip('what is shipped, on a real API server (none given)', () => {})
