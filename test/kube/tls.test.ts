import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/kube/client.ts'
import { connectionTo, type TlsMaterial } from '../../src/kube/connection.ts'
import { asKubeError } from '../../src/kube/kube-error.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'

/** A certificate for api.internal that signs itself and may be used on both ends; undefined without openssl. */
function makeCertificate(): { cert: Buffer; key: Buffer } | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'tls-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=api.internal', '-addext', 'subjectAltName=DNS:api.internal']
  try {
    execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
    return { cert: readFileSync(cert), key: readFileSync(key) }
  } catch {
    return undefined
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

const pair = makeCertificate()

describe.skipIf(!pair)('over TLS (needs openssl)', () => {
  let server: Server
  let url = ''
  let connections = 0

  beforeAll(async () => {
    server = createServer({ ...pair, ca: pair?.cert, requestCert: true }, (_request, response) => {
      response.end(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }))
    })
    server.on('secureConnection', () => {
      connections += 1
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  function clientWith(tls: () => TlsMaterial) {
    const connection = { ...connectionTo(url), credentials: async () => ({ headers: {}, tls: tls() }) }
    return connect({ connection, runtime: systemRuntime })
  }

  test('a client certificate, the CA and the server name are used, on one connection', async () => {
    const client = clientWith(() => ({ ca: pair?.cert, cert: pair?.cert, key: pair?.key, servername: 'api.internal' }))
    connections = 0
    for (let i = 0; i < 5; i++) expect(await client.get(resources.namespaces, { name: 'shop' })).toBeDefined()
    expect(connections).toBe(1)
    client.close()
  })

  test('new certificates get a new connection', async () => {
    let material: TlsMaterial = { ca: pair?.cert, cert: pair?.cert, key: pair?.key, servername: 'api.internal' }
    const client = clientWith(() => material)
    connections = 0
    await client.get(resources.namespaces, { name: 'shop' })
    material = { ...material, ca: `${String(pair?.cert)}\n` }
    await client.get(resources.namespaces, { name: 'shop' })
    expect(connections).toBe(2)
    client.close()
  })

  test.each([
    ['an unknown CA', (): TlsMaterial => ({ cert: pair?.cert, key: pair?.key, servername: 'api.internal' })],
    ['another name', (): TlsMaterial => ({ ca: pair?.cert, cert: pair?.cert, key: pair?.key })],
    ['no client certificate', (): TlsMaterial => ({ ca: pair?.cert, servername: 'api.internal' })],
  ])('%s is refused, with a hint at the kubeconfig', async (_what, tls) => {
    const error = await clientWith(tls).get(resources.namespaces, { name: 'shop' }).catch(asKubeError)
    expect(error).toMatchObject({ reason: 'Untrusted', message: expect.stringContaining('in the kubeconfig') })
  })
})
