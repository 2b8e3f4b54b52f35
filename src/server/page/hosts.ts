import { isIP } from 'node:net'

/**
 * Whether a request's Host is one that this page is known by. A page in somebody's browser can give its own name the address of this
 * server (DNS rebinding) and would then be allowed to read what it answers; the Host header still says that name. An address is nobody's
 * name, and `localhost` is always this machine.
 * @param host the Host header, with or without a port
 * @param known more names, as `page.sluice.example.com`
 */
export function isKnownHost(host: string | undefined, known: readonly string[]): boolean {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/.exec(host ?? '')
  if (match === null) return false
  if (match[1] !== undefined) return isIP(match[1]) === 6
  const name = (match[2] ?? '').toLowerCase().replace(/\.$/, '')
  if (isIP(name) === 4 || name === 'localhost' || name.endsWith('.localhost')) return true
  return known.some((each) => each.toLowerCase() === name)
}
