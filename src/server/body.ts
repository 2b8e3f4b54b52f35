/** A body that is longer than it may be. */
export class BodyTooLong extends Error {
  override readonly name = 'BodyTooLong'
  constructor(limit: number) {
    super(`the body is longer than ${limit} bytes`)
  }
}

/**
 * The body of a request, piece by piece, in constant memory. Of one whose announced length is too great nothing is read, and one that
 * announces none is left at the limit.
 * @throws {BodyTooLong} beyond `limit` bytes.
 */
export async function* chunksOf(request: Request, limit: number): AsyncIterable<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw new BodyTooLong(limit)
  if (request.body === null) return
  let size = 0
  for await (const chunk of request.body) {
    size += chunk.byteLength
    if (size > limit) throw new BodyTooLong(limit)
    yield chunk
  }
}

export async function wholeOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}
