import { test } from 'vitest'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { rawClient } from './apiserver.client.ts'
import { realApiServer } from './apiserver.real.ts'
import { peopleConformance } from './people.conformance.ts'

peopleConformance('people, on the sandbox', async () => {
  const server = await startApiServer({ rbac: true })
  return { client: rawClient(server.url, server.token()), controllers: true, stop: () => server.stop() }
})

const real = realApiServer()
if (real) peopleConformance('people, on a real API server', real)
else test.skip('people, on a real API server (none given)', () => {})
