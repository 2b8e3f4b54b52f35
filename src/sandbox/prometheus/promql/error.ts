/** How Prometheus classifies a failed query: `bad_data` answers 400, `execution` 422. */
export type QueryErrorType = 'bad_data' | 'execution'

/** A query that cannot be answered: not PromQL, wrongly typed, unsupported here, or without a well-defined result. */
export class QueryError extends Error {
  readonly type: QueryErrorType

  constructor(type: QueryErrorType, message: string, options?: ErrorOptions) {
    super(message, options)
    this.type = type
  }
}

export function executionError(message: string, cause?: unknown): QueryError {
  return new QueryError('execution', message, { cause })
}
