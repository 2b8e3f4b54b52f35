import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeSlack {
  /** Base for the Web API. */
  apiUrl: string
  origin: string
  users: Map<string, Record<string, unknown>>
  groups: Map<string, string[]>
  /** What auth.test says of where the token is at home; the newest counts. */
  teams: { team_id: string; enterprise_id?: string }[]
  /** Every call, in order. */
  calls: { method: string; authorization?: string; body: Record<string, string> }[]
  /** Messages as they stand now, by ts. */
  messages: Map<string, { channel: string; text: string; blocks: string; threadTs?: string; broadcast?: boolean }>
  /** Dialogs that were opened, oldest first. */
  views: { triggerId: string; view: Record<string, unknown> & { private_metadata?: string } }[]
  /** What was sent to response_urls. */
  replies: { text?: string; blocks?: unknown[]; replace_original?: boolean; response_type?: string }[]
  /** Where Socket Mode is, if anywhere. */
  socketUrl?: string
  /** Methods that fail; `*` stands for all of them: with an error code of Slack, an HTTP status, never answering, or answering only after a while. */
  broken: Map<
    string,
    { error?: string; status?: number; body?: string; retryAfter?: string; hang?: boolean; after?: Promise<void> }
  >
  stop(): Promise<void>
}

export async function startFakeSlack(): Promise<FakeSlack> {
  const users: FakeSlack['users'] = new Map()
  const groups: FakeSlack['groups'] = new Map()
  const calls: FakeSlack['calls'] = []
  const messages: FakeSlack['messages'] = new Map()
  const replies: FakeSlack['replies'] = []
  const views: FakeSlack['views'] = []
  const broken: FakeSlack['broken'] = new Map()
  let count = 0

  function answer(method: string, body: Record<string, string>): object {
    switch (method) {
      case 'auth.test':
        return { ok: true, ...(self.teams.at(-1) ?? { team_id: 'T1' }) }
      case 'users.info': {
        const user = users.get(body.user ?? '')
        return user ? { ok: true, user } : { ok: false, error: 'user_not_found' }
      }
      case 'usergroups.users.list': {
        const members = groups.get(body.usergroup ?? '')
        return members ? { ok: true, users: members } : { ok: false, error: 'no_such_subteam' }
      }
      case 'chat.postMessage': {
        const ts = `1700000000.00000${++count}`
        const { channel = '', text = '', blocks = '', thread_ts: threadTs } = body
        if (threadTs !== undefined && !messages.has(threadTs)) return { ok: false, error: 'thread_not_found' }
        const broadcast = body.reply_broadcast === 'true' ? { broadcast: true } : {}
        messages.set(ts, { channel, text, blocks, threadTs, ...broadcast })
        return { ok: true, channel, ts }
      }
      case 'chat.update': {
        const message = messages.get(body.ts ?? '')
        if (!message) return { ok: false, error: 'message_not_found' }
        Object.assign(message, { text: body.text, blocks: body.blocks })
        return { ok: true, channel: message.channel, ts: body.ts }
      }
      case 'views.open': {
        const view = JSON.parse(body.view ?? '{}')
        views.push({ triggerId: body.trigger_id ?? '', view })
        return { ok: true, view: { id: `V${views.length}`, ...view } }
      }
      case 'apps.connections.open':
        return self.socketUrl ? { ok: true, url: self.socketUrl } : { ok: false, error: 'invalid_auth' }
      default:
        return { ok: false, error: 'unknown_method' }
    }
  }

  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const path = request.url ?? ''
    const method = path.startsWith('/hooks/') ? 'response_url' : path.replace('/api/', '')
    const fault = broken.get(method) ?? broken.get('*')
    if (fault?.hang) return
    await fault?.after
    if (fault?.status) {
      const headers = fault.retryAfter ? { 'retry-after': fault.retryAfter } : {}
      response.writeHead(fault.status, headers).end(fault.body ?? 'no')
      return
    }
    if (method === 'response_url') {
      replies.push(JSON.parse(text))
      response.end('ok')
      return
    }
    const body = Object.fromEntries(new URLSearchParams(text))
    calls.push({ method, authorization: request.headers.authorization, body })
    const error = fault?.error
    const result = error ? { ok: false, error } : answer(method, body)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(result))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const self: FakeSlack = {
    apiUrl: `${origin}/api/`,
    origin,
    users,
    groups,
    teams: [],
    calls,
    messages,
    views,
    replies,
    broken,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return self
}

/** A full member of the workspace. */
export function member(id: string, email?: string, over: Record<string, unknown> = {}): Record<string, unknown> {
  return { id, team_id: 'T1', is_email_confirmed: true, profile: { email }, ...over }
}
