import { describe, expect, test } from 'vitest'
import { missingPermission } from '../../src/kube/permission.ts'
import { errorFromStatus } from '../../src/kube/response.ts'

const account = 'system:serviceaccount:sluice-system:sluice'
const forbidden = (rest: string) => `things "my-app" is forbidden: User ${rest}`

describe('a refusal by RBAC names the verb and the resource', () => {
  test.for([
    [
      forbidden(
        `"${account}" cannot patch resource "virtualservices" in API group "networking.istio.io" in the namespace "shop"`,
      ),
      'sluice may not patch virtualservices.networking.istio.io in namespace shop',
    ],
    [
      forbidden(
        `"${account}" cannot update resource "rollouts/status" in API group "sluice.dev" in the namespace "shop"`,
      ),
      'sluice may not update rollouts.sluice.dev/status in namespace shop',
    ],
    [
      forbidden(`"dana@example.com" cannot list resource "pods" in API group "" at the cluster scope`),
      'dana@example.com may not list pods in the whole cluster',
    ],
  ] as const)('%s', ([said, expected]) => {
    expect(missingPermission(said)).toBe(expected)
  })

  test('and stands first in the error, before the words of the server', () => {
    const message = forbidden(`"${account}" cannot create resource "events" in API group "" in the namespace "shop"`)
    const error = errorFromStatus('create events shop/x', 403, { kind: 'Status', reason: 'Forbidden', message })
    expect(error.message).toBe(`Kubernetes API, sluice may not create events in namespace shop: ${message}`)
    expect(error).toMatchObject({ isForbidden: true, isTransient: false })
  })
})

test('a refusal by anybody else keeps its own words', () => {
  const message = 'admission webhook "guard.example.com" denied the request: not on Fridays'
  expect(missingPermission(message)).toBeUndefined()
  const error = errorFromStatus('patch virtualservices shop/x', 403, { kind: 'Status', reason: 'Forbidden', message })
  expect(error.message).toBe(`Kubernetes API, patch virtualservices shop/x: 403 Forbidden: ${message}`)
})
