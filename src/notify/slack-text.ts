/** The longest text that fits into a section of a message, with room to spare. */
const sectionLimit = 2_900

/**
 * Escapes text for Slack's mrkdwn, so that names, reasons and messages from elsewhere can neither mention people
 * (`<!channel>`, `<@U1>`) nor hide a link. See docs.slack.dev, "Escaping text".
 */
export function escapeSlack(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

/** Escaped, on one line, and without the marks that would end a piece of code. */
export function slackCode(text: string): string {
  return `\`${escapeSlack(text.replace(/[`\s]+/g, ' ').trim())}\``
}

/** Cuts already escaped text so that it fits a section, never in the middle of an escape. */
export function fitSection(text: string, limit = sectionLimit): string {
  if (text.length <= limit) return text
  return `${text.slice(0, limit - 1).replace(/&[a-z]{0,3}$|<[^>]*$/, '')}…`
}

/** A link that is shown as `text`; undefined for an address that is not http or https. */
export function slackLink(address: string, text: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined
  const marks: Record<string, string> = { '&': '&amp;', '<': '%3C', '>': '%3E', '|': '%7C' }
  const href = url.href.replace(/[&<>|]/g, (mark) => marks[mark] ?? '')
  return `<${href}|${escapeSlack(text)}>`
}

/** A moment (epoch ms) in the time zone of whoever reads; `otherwise` where it is none. */
export function slackTime(ms: number, otherwise = 'unknown'): string {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8_640_000_000_000_000) return escapeSlack(otherwise)
  const fallback = new Date(ms).toISOString()
  return `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} {time}|${fallback}>`
}

/**
 * A text object of Block Kit, cut where it is too long. `verbatim`: Slack must not look for names and channels in it (`@here` in the
 * subject of a commit); what is marked up by us still works.
 */
export function mrkdwn(escaped: string, limit?: number) {
  return { type: 'mrkdwn' as const, text: fitSection(escaped, limit), verbatim: true }
}
