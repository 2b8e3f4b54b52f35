/** A request to an endpoint before its body. */
export interface EndpointHead {
  /** What stands in the path where the endpoint's path has `:names`, decoded; whoever calls chose it. */
  params: Readonly<Record<string, string>>
  /** A header by its name in lower case. */
  header(name: string): string | undefined
  /** Aborted when the client is gone or the request takes too long. */
  signal: AbortSignal
}

/** A request with its body as the bytes that arrived: signatures are over these. */
export interface EndpointRequest extends EndpointHead {
  body: Buffer
}

/** A request whose body is read piece by piece. Reading throws `BodyTooLong` beyond the endpoint's limit. */
export interface StreamedRequest extends EndpointHead {
  chunks: AsyncIterable<Uint8Array>
}

export interface EndpointAnswer {
  status: 200 | 202 | 204 | 400 | 401 | 403 | 404 | 409 | 413 | 429 | 500 | 503
  /** Sent as JSON; nothing is sent without it. */
  json?: object
}

interface EndpointBase {
  /** Absolute path, for example `/slack/interactions`; `/hooks/git/:namespace/:name` with parameters. */
  path: string
  /** Bytes that a body may have; by default what the server allows. */
  maxBodyBytes?: number
}

/** One POST endpoint for somebody else's calls: Slack's clicks, a forge's webhooks. */
export interface Endpoint extends EndpointBase {
  /** Answers expected failures by status; what it throws is logged and answered with 500. */
  handle(request: EndpointRequest): Promise<EndpointAnswer>
}

/** The same for bodies that may be too large to be kept while nobody knows who sends them. */
export interface StreamingEndpoint extends EndpointBase {
  receive(request: StreamedRequest): Promise<EndpointAnswer>
}
