import type { HttpMatch, StringMatch } from './virtual-service.ts'

/** What a route's conditions can see of a request. Header names are lower-case. */
export interface RequestView {
  method: string
  /** Path without the query. */
  path: string
  query: URLSearchParams
  authority: string
  scheme: string
  headers: Record<string, string | string[] | undefined>
  /** The Service port the client addressed. */
  port: number
  /** `mesh`, or `namespace/name` of the gateway through which the request came. */
  gateway: string
  sourceLabels: Record<string, string>
  sourceNamespace: string
}

/** A compiled condition; pure. */
export type Predicate = (request: RequestView) => boolean

/**
 * Compiles one HTTPMatchRequest: every condition present must hold.
 * Throws when a regex does not compile or a field is one the sandbox's mesh does not obey, naming the field.
 */
function compileMatch(match: HttpMatch): Predicate {
  const tests: Predicate[] = []
  const { uri, scheme, method, authority, port, sourceLabels, sourceNamespace, gateways } = match
  if (uri && !isEmpty(uri)) {
    const test = compileString(uri, 'uri', match.ignoreUriCase ?? false)
    tests.push((request) => test(request.path))
  }
  if (scheme && !isEmpty(scheme)) tests.push(on(compileString(scheme, 'scheme'), (request) => request.scheme))
  if (method && !isEmpty(method)) tests.push(on(compileString(method, 'method'), (request) => request.method))
  if (authority && !isEmpty(authority)) {
    tests.push(on(compileString(authority, 'authority'), (request) => request.authority))
  }
  for (const [name, wanted] of Object.entries(match.headers ?? {})) tests.push(headerTest(name, wanted))
  for (const [name, unwanted] of Object.entries(match.withoutHeaders ?? {})) {
    const present = headerTest(name, unwanted)
    tests.push((request) => !present(request))
  }
  for (const [name, wanted] of Object.entries(match.queryParams ?? {})) {
    const test = isEmpty(wanted) ? () => true : compileString(wanted, `queryParams[${name}]`)
    tests.push((request) => {
      const value = request.query.get(name)
      return value !== null && test(value)
    })
  }
  if (port) tests.push((request) => request.port === port)
  if (sourceNamespace) tests.push((request) => request.sourceNamespace === sourceNamespace)
  for (const [label, value] of Object.entries(sourceLabels ?? {})) {
    tests.push((request) => request.gateway !== 'mesh' || request.sourceLabels[label] === value)
  }
  if (gateways && gateways.length > 0) tests.push((request) => gateways.includes(request.gateway))
  return (request) => tests.every((test) => test(request))
}

/**
 * Compiles `http[].match`: any entry may hold; no entries match everything.
 */
export function compileMatches(matches: HttpMatch[] | undefined): Predicate {
  if (!matches || matches.length === 0) return () => true
  const compiled = matches.map(compileMatch)
  return (request) => compiled.some((test) => test(request))
}

/**
 * Compiles a StringMatch. A regex must match the whole text, as Envoy's full match does; RE2's leading `(?i)` is understood.
 */
export function compileString(match: StringMatch, field: string, ignoreCase = false): (text: string) => boolean {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text)
  if (match.exact !== undefined) {
    const exact = fold(match.exact)
    return (text) => fold(text) === exact
  }
  if (match.prefix !== undefined) {
    const prefix = fold(match.prefix)
    return (text) => fold(text).startsWith(prefix)
  }
  const regex = compileRegex(match.regex ?? '', field)
  return (text) => regex.test(text)
}

/** An anchored regex from RE2 text; throws with the field's name when it does not compile. */
export function compileRegex(source: string, field: string): RegExp {
  const insensitive = source.startsWith('(?i)')
  try {
    return new RegExp(`^(?:${insensitive ? source.slice(4) : source})$`, insensitive ? 'is' : 's')
  } catch (cause) {
    throw new Error(`${field}.regex does not compile: ${source}`, { cause })
  }
}

function headerTest(name: string, wanted: StringMatch): Predicate {
  const test = isEmpty(wanted) ? () => true : compileString(wanted, `headers[${name}]`)
  const key = name.toLowerCase()
  return (request) => {
    const value = key === ':authority' ? request.authority : request.headers[key]
    if (value === undefined) return false
    return test(Array.isArray(value) ? value.join(',') : value)
  }
}

function isEmpty(match: StringMatch): boolean {
  return match.exact === undefined && match.prefix === undefined && match.regex === undefined
}

function on(test: (text: string) => boolean, pick: (request: RequestView) => string): Predicate {
  return (request) => test(pick(request))
}
