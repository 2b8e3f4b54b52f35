import { startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { rawClient } from '../../conformance/apiserver.client.ts'
import { apiServerConformance } from '../../conformance/apiserver.conformance.ts'
import { realApiServer } from '../../conformance/apiserver.real.ts'

apiServerConformance('the sandbox API server', async () => {
  const server = await startApiServer({ rbac: true })
  return {
    client: rawClient(server.url, server.token()),
    controllers: true,
    expire: () => server.compact(),
    stop: () => server.stop(),
  }
})

const real = realApiServer()
if (real) apiServerConformance('a real API server', real)
