import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signWebhook } from '../../src/notify/webhook.ts'
import { checkHook } from '../../src/server/hooks-signature.ts'

const now = Date.parse('2026-03-02T12:00:00Z')
const body = '{"ref":"refs/heads/main"}'
const hmac = (token: string | Buffer, text = body, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', token).update(text).digest(encoding)

function sender(headers: Record<string, string>, { token = 'hunter2' as string | null, text = body } = {}) {
  const check = checkHook(token ?? undefined, (name) => headers[name], now)
  // In pieces, as bodies arrive.
  for (const piece of text.match(/.{1,7}/gs) ?? []) check.update(Buffer.from(piece))
  return check.sender()
}

const seconds = String(now / 1000)
const whsec = `whsec_${Buffer.from('thirty-two bytes of randomness!!').toString('base64')}`
const raw = Buffer.from('thirty-two bytes of randomness!!')
const id = 'msg_1'

const right: [string, Record<string, string>, string?][] = [
  ['GitHub', { 'x-hub-signature-256': `sha256=${hmac('hunter2')}`, 'x-hub-signature': 'sha1=0123' }],
  ['Gitea', { 'x-gitea-signature': hmac('hunter2') }],
  ['Gitea', { 'x-forgejo-signature': hmac('hunter2'), 'x-hub-signature-256': `sha256=${hmac('hunter2')}` }],
  ['Bitbucket', { 'x-hub-signature': `sha256=${hmac('hunter2')}` }],
  ['GitLab', { 'x-gitlab-token': 'hunter2' }],
  ['Other', { 'x-signature-256': `sha256=${hmac('hunter2')}` }],
  ['Sluice', { 'x-sluice-timestamp': seconds, 'x-sluice-signature': signWebhook('hunter2', seconds, body) }],
  [
    'Standard Webhooks',
    {
      'webhook-id': id,
      'webhook-timestamp': seconds,
      'webhook-signature': `v1,AAAA v1,${hmac(raw, `${id}.${seconds}.${body}`, 'base64')}`,
    },
    whsec,
  ],
]

describe('a webhook is let in', () => {
  test.each(right)('with the proof that %s sends: %j', (name, headers, token) => {
    expect(sender(headers, { token: token ?? 'hunter2' })).toBe(name)
  })
})

describe('a webhook is refused', () => {
  test.each(right)('with another token, with no token at all, or with another body: %s %j', (name, headers, token) => {
    expect(sender(headers, { token: 'hunter3' })).toBeUndefined()
    expect(sender(headers, { token: null })).toBeUndefined()
    // GitLab's token alone says nothing about the body.
    if (name !== 'GitLab') expect(sender(headers, { token: token ?? 'hunter2', text: `${body} ` })).toBeUndefined()
  })

  test.each<[string, Record<string, string>]>([
    ['no proof', {}],
    ['SHA-1', { 'x-hub-signature': `sha1=${createHmac('sha1', 'hunter2').update(body).digest('hex')}` }],
    ['half a signature', { 'x-gitea-signature': hmac('hunter2').slice(0, 32) }],
    ['no hex', { 'x-gitea-signature': 'z'.repeat(64) }],
    ['the signature under another name’s form', { 'x-gitea-signature': `sha256=${hmac('hunter2')}` }],
    [
      'a time long ago',
      { 'x-sluice-timestamp': '1700000000', 'x-sluice-signature': signWebhook('hunter2', '1700000000', body) },
    ],
    [
      'a time that is none',
      { 'x-sluice-timestamp': 'soon', 'x-sluice-signature': signWebhook('hunter2', 'soon', body) },
    ],
  ])('with %s', (_, headers) => {
    expect(sender(headers)).toBeUndefined()
  })

  test('whatever strangers put into the headers', () => {
    const names = right.flatMap(([, headers]) => Object.keys(headers))
    const headers = fc.dictionary(
      fc.constantFrom(...names),
      fc.oneof(fc.string(), fc.constantFrom('sha256=', 'v1=', 'v1,')),
    )
    fc.assert(
      fc.property(headers, (given) => sender(given) === undefined),
      { numRuns: 300 },
    )
  })
})
