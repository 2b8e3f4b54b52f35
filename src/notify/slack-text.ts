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
