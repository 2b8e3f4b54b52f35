/** An answer of either Prometheus, reduced to what both must agree on. */
export type Answer =
  | { status: number; errorType: string; error: string }
  | { status: 200; resultType: string; rows: Map<string, [time: number, value: string][]>; order: string[] }

interface Row {
  metric?: Record<string, string>
  value?: [number, string]
  values?: [number, string][]
}

/** Asks one Prometheus; `path` is query or query_range. */
export async function ask(url: string, path: string, parameters: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
  const body = (await response.json()) as {
    status: string
    errorType?: string
    error?: string
    data?: { resultType: string; result: Row[] | [number, string] }
  }
  if (!body.data) return { status: response.status, errorType: body.errorType ?? '', error: body.error ?? '' }
  const { resultType, result } = body.data
  const rows = new Map<string, [number, string][]>()
  if (resultType === 'scalar' || resultType === 'string') rows.set('', [result as [number, string]])
  else {
    for (const row of result as Row[]) {
      const key = JSON.stringify(Object.entries(row.metric ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
      rows.set(key, row.values ?? [row.value!])
    }
  }
  return { status: 200, resultType, rows, order: [...rows.keys()] }
}

/** Describes the first difference between two answers, or `undefined`. `tolerance` is relative; 0 means bit by bit. */
export function difference(real: Answer, ours: Answer, tolerance: number): string | undefined {
  if ('error' in real || 'error' in ours) {
    const of = (answer: Answer) =>
      'error' in answer ? `${answer.status} ${answer.errorType} ${comparable(answer)}` : 'data'
    return of(real) === of(ours) ? undefined : `real: ${describe(real)}, ours: ${describe(ours)}`
  }
  if (real.resultType !== ours.resultType) return `real is a ${real.resultType}, ours a ${ours.resultType}`
  for (const key of ours.rows.keys()) if (!real.rows.has(key)) return `only ours has ${key}`
  for (const [key, points] of real.rows) {
    const other = ours.rows.get(key)
    if (!other) return `only real has ${key}`
    if (points.length !== other.length) return `${key}: real has ${points.length} points, ours ${other.length}`
    for (let i = 0; i < points.length; i++) {
      const [time, value] = points[i]!
      const [otherTime, otherValue] = other[i]!
      if (time !== otherTime) return `${key}: real has a point at ${time}, ours at ${otherTime}`
      if (!close(value, otherValue, tolerance)) return `${key} at ${time}: real ${value}, ours ${otherValue}`
    }
  }
  return undefined
}

/** The difference between two answers asked for "now", which is not the same millisecond for both: times do not count. */
export function differenceNow(real: Answer, ours: Answer): string | undefined {
  for (const answer of [real, ours]) {
    if ('rows' in answer) for (const points of answer.rows.values()) for (const point of points) point[0] = 0
  }
  return difference(real, ours, 0)
}

/** Messages of failed executions must agree too; those about syntax are each parser's own. */
function comparable({ errorType, error }: { errorType: string; error: string }): string {
  if (errorType !== 'execution') return ''
  // Which of the duplicates is met first depends on the storage's order.
  return error.replace(/\[.*\]/, '[…]').replace(/match group \{.*\} on/, 'match group {…} on')
}

function describe(answer: Answer): string {
  return 'error' in answer ? `${answer.status} ${answer.errorType}: ${answer.error}` : `${answer.rows.size} series`
}

function close(a: string, b: string, tolerance: number): boolean {
  if (a === b || tolerance === 0) return a === b
  const [x, y] = [Number(a), Number(b)]
  return Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y))
}
