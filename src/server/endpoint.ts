/** A request to an endpoint, with its body as the bytes that arrived: signatures are over these. */
export interface EndpointRequest {
  body: Buffer
  /** A header by its name in lower case. */
  header(name: string): string | undefined
  /** Aborted when the client is gone or the request takes too long. */
  signal: AbortSignal
}

export interface EndpointAnswer {
  status: 200 | 202 | 204 | 400 | 401 | 403 | 404 | 409 | 413 | 429 | 500 | 503
  /** Sent as JSON; nothing is sent without it. */
  json?: object
}

/** One POST endpoint for somebody else's calls: Slack's clicks, a forge's webhooks. */
export interface Endpoint {
  /** Absolute path, for example `/slack/interactions`. */
  path: string
  /** Answers expected failures by status; what it throws is logged and answered with 500. */
  handle(request: EndpointRequest): Promise<EndpointAnswer>
}
