import { SluiceError } from '../errors.ts'

/**
 * Splits `host:port`. An IPv6 address stands in brackets; `:8080` means every address.
 * @throws {SluiceError} when it is neither.
 */
export function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(listen)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new SluiceError({ reason: 'ListenFailed', message: `${listen} is not HOST:PORT`, field: 'listen' })
  }
  return { host: match[1] ?? match[2] ?? '', port }
}
