import { describe, expect, test } from 'vitest'
import { hostSpecificity, resolveHost, serviceOfAuthority, splitAuthority } from '../../../src/sandbox/mesh/hosts.ts'

describe('an authority names a Service', () => {
  test.each([
    ['checkout', { name: 'checkout', namespace: 'client' }],
    ['checkout:8080', { name: 'checkout', namespace: 'client' }],
    ['Checkout.Shop', { name: 'checkout', namespace: 'shop' }],
    ['checkout.shop.svc', { name: 'checkout', namespace: 'shop' }],
    ['checkout.shop.svc.cluster.local:80', { name: 'checkout', namespace: 'shop' }],
    ['www.example.com', undefined],
    ['a.b.svc.other.local', undefined],
  ])('%s', (authority, service) => {
    expect(serviceOfAuthority(authority, 'client')).toEqual(service)
  })
})

test('a host without a dot belongs to the namespace of the object that names it, a dotted one stands', () => {
  expect(resolveHost('checkout', 'shop')).toBe('checkout.shop.svc.cluster.local')
  expect(resolveHost('checkout.shop', 'other')).toBe('checkout.shop')
  expect(resolveHost('*', 'shop')).toBe('*')
})

test('the more specific host pattern wins', () => {
  expect(hostSpecificity('www.example.com', 'www.example.com')).toBeGreaterThan(
    hostSpecificity('*.example.com', 'www.example.com'),
  )
  expect(hostSpecificity('*.example.com', 'www.example.com')).toBeGreaterThan(hostSpecificity('*', 'www.example.com'))
  expect(hostSpecificity('*.example.com', 'example.com')).toBe(0)
  expect(hostSpecificity('checkout', 'other')).toBe(0)
})

test('the port of an authority is optional', () => {
  expect(splitAuthority('shop:8080')).toEqual({ host: 'shop', port: 8080 })
  expect(splitAuthority('shop')).toEqual({ host: 'shop', port: undefined })
})
