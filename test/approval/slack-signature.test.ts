import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createReplayGuard, signSlackRequest, verifySlackRequest } from '../../src/approval/slack-signature.ts'

const seconds = 1_531_420_618
const now = seconds * 1000
const body = Buffer.from('payload=%7B%7D')
const signed = (secret: string, at = seconds, bytes: Buffer = body) => ({
  body: bytes,
  timestamp: String(at),
  signature: signSlackRequest(secret, bytes, at),
})

test('signs as Slack’s documentation shows', () => {
  const example =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  expect(signSlackRequest('8f742231b10e8888abcd99yyyzzz85a5', example, 1531420618)).toBe(
    'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  )
})

test('the right secret opens, also while it is being rotated; another does not', () => {
  expect(verifySlackRequest(['new', 'old'], signed('old'), now).ok).toBe(true)
  expect(verifySlackRequest(['new', 'old'], signed('new'), now).ok).toBe(true)
  expect(verifySlackRequest(['new'], signed('old'), now)).toEqual({ ok: false, why: 'wrong' })
  expect(verifySlackRequest([], signed('old'), now)).toEqual({ ok: false, why: 'wrong' })
})

test('an empty secret opens nothing', () => {
  expect(verifySlackRequest([''], signed(''), now).ok).toBe(false)
})

describe('time', () => {
  test('five minutes either way are let in, more is not', () => {
    for (const offset of [-300, 0, 300])
      expect(verifySlackRequest(['s'], signed('s', seconds + offset), now).ok).toBe(true)
    for (const offset of [-301, 301, -1e6]) {
      expect(verifySlackRequest(['s'], signed('s', seconds + offset), now)).toEqual({ ok: false, why: 'old' })
    }
  })

  test.each(['', 'NaN', '1e9', '-5', ' 1531420618', '99999999999999'])('%j is no timestamp', (timestamp) => {
    const request = { body, timestamp, signature: signSlackRequest('s', body, timestamp) }
    expect(verifySlackRequest(['s'], request, now).ok).toBe(false)
  })
})

test('missing headers are refused', () => {
  expect(verifySlackRequest(['s'], { ...signed('s'), signature: undefined }, now)).toEqual({
    ok: false,
    why: 'missing',
  })
  expect(verifySlackRequest(['s'], { ...signed('s'), timestamp: undefined }, now)).toEqual({
    ok: false,
    why: 'missing',
  })
})

test('whatever is changed in body, timestamp or signature, the door stays shut', () => {
  const change = fc.record({ at: fc.nat(), flip: fc.integer({ min: 1, max: 255 }) })
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      change,
      fc.constantFrom('body', 'signature', 'time'),
      (bytes, { at, flip }, what) => {
        const request = signed('s', seconds, Buffer.from(bytes))
        if (what === 'body') {
          request.body = Buffer.from(request.body)
          request.body[at % bytes.length]! ^= flip
        } else if (what === 'time') request.timestamp = String(seconds + (flip % 200) + 1)
        else {
          const digits = [...request.signature]
          const index = at % digits.length
          digits[index] = String.fromCharCode(digits[index]!.charCodeAt(0) ^ flip)
          request.signature = digits.join('')
        }
        expect(verifySlackRequest(['s'], request, now).ok).toBe(false)
      },
    ),
  )
})

describe('the replay guard', () => {
  test('admits each request once for as long as its timestamp would be accepted', () => {
    const guard = createReplayGuard()
    expect(guard.admit('a', now)).toBe(true)
    expect(guard.admit('b', now)).toBe(true)
    expect(guard.admit('a', now + 600_000)).toBe(false)
  })

  test('forgets the oldest when it is full', () => {
    const guard = createReplayGuard(3)
    for (const seal of ['a', 'b', 'c', 'd']) expect(guard.admit(seal, now)).toBe(true)
    expect(guard.admit('d', now)).toBe(false)
    expect(guard.admit('c', now)).toBe(false)
  })
})
