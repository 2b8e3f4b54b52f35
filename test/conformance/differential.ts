import type { Answer, RawClient } from './apiserver.client.ts'
import type { RandomRequest } from './random-requests.ts'

/** Answers of one server, with what differs between any two servers (identities, times) told by order of appearance. */
export interface Player {
  play(request: RandomRequest): Promise<unknown>
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of the API under test
type Json = any

export function player(client: RawClient, namespace: string): Player {
  const known = new Map<string, string>()
  const versions = new Map<string, { first: string; current: string }>()

  /** The same word for the same value, whatever it is. */
  function word(stem: string, value: unknown): string {
    const key = `${stem} ${String(value)}`
    const found = known.get(key) ?? `${stem} ${known.size}`
    known.set(key, found)
    return found
  }

  function normal(value: Json, name = ''): Json {
    if (Array.isArray(value)) return value.map((each) => normal(each))
    if (typeof value === 'object' && value !== null) {
      const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      return Object.fromEntries(sorted.map(([field, each]) => [field, normal(each, field)]))
    }
    if (name === 'uid' || name === 'resourceVersion') return word(name, value)
    return typeof value === 'string'
      ? value.replaceAll(namespace, 'NS').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'T')
      : value
  }

  function remember(path: string, { metadata, kind }: Json): void {
    const version = metadata?.resourceVersion
    if (!version || String(kind).endsWith('List')) return
    versions.set(path, { first: versions.get(path)?.first ?? version, current: version })
  }

  return {
    async play({ method, path, options, resourceVersion }) {
      const [bare = ''] = path.split('?')
      const object = bare.replace(/\/(status|scale)$/, '')
      const wanted = resourceVersion && versions.get(object)?.[resourceVersion]
      const body: Json = options.body
      const sent = wanted ? { ...body, metadata: { ...body.metadata, resourceVersion: wanted } } : body
      const text =
        sent === undefined ? {} : { body: JSON.stringify(sent).replaceAll('"NS"', JSON.stringify(namespace)) }
      const answer = await client.request(method, path.replace('/NS/', `/${namespace}/`), { ...options, ...text })
      if (answer.status < 300) remember(method === 'POST' ? `${bare}/${body.metadata.name}` : object, answer.body)
      return seen(answer, normal)
    },
  }
}

function seen({ status, body, headers }: Answer, normal: (value: Json) => Json): unknown {
  if (status >= 300) return { status, ...refusal(body) }
  // A list's own version counts every write of the server, and the token of its next page is the server's secret.
  if (String(body.kind).endsWith('List')) {
    const { remainingItemCount } = body.metadata
    return { status, items: normal(body.items), more: Boolean(body.metadata.continue), remainingItemCount }
  }
  return { status, body: normal(body), warning: headers.warning }
}

/** What programs go by: the words of a refusal, and the order and number of its causes, are for people. */
function refusal({ reason, details }: Json): object {
  const causes = new Set((details?.causes ?? []).map((cause: Json) => `${cause.reason} ${cause.field}`))
  return { reason, name: details?.name, kind: details?.kind, group: details?.group, causes: [...causes].sort() }
}
