import { describe, expect, test } from 'vitest'
import { sameHost, serviceOf } from '../../../src/traffic/istio/host.ts'

describe('sameHost', () => {
  const spellings = [
    'my-app',
    'my-app.shop',
    'my-app.shop.svc',
    'my-app.shop.svc.cluster.local',
    'My-App.shop.svc.example.org',
  ]

  test.each(spellings)('%s is the Service my-app of the namespace shop', (spelling) => {
    for (const other of spellings) expect(sameHost(spelling, other, 'shop')).toBe(true)
    expect(serviceOf(spelling, 'shop')).toEqual({ name: 'my-app', namespace: 'shop' })
  })

  test.each(['my-app.other', 'my-app.other.svc.cluster.local', 'my-app-2', 'my-app.shop.example.com', ''])(
    '%s is not',
    (host) => {
      for (const spelling of spellings) expect(sameHost(spelling, host, 'shop')).toBe(false)
    },
  )

  test('a short name means another Service in another namespace', () => {
    expect(sameHost('my-app', 'my-app.shop', 'other')).toBe(false)
  })
})

test('hosts that no Service can have are no Service', () => {
  expect(serviceOf('api.example.com', 'shop')).toBeUndefined()
})
