import type { DemoReport } from './report.ts'

const WIDTH = 900
const LANE = 46
const LEFT = 70
const TOP = 48
const COLORS = ['#2f855a', '#2b6cb0', '#c53030', '#b7791f', '#6b46c1']

/**
 * Draws what happened as an SVG: a lane for each version, filled as high as its share of the traffic was, act by act.
 * @returns the text of an .svg file that needs nothing else
 */
export function drawPicture(report: DemoReport): string {
  const names = [...new Set(report.timeline.flatMap((point) => Object.keys(point.weights)))]
  const end = report.durationMs
  const height = TOP + names.length * (LANE + 10) + 46
  const x = (ms: number) => LEFT + (Math.max(0, ms) / end) * (WIDTH - LEFT - 20)
  const lanes = names.map((name, i) =>
    lane(report, name, TOP + i * (LANE + 10), COLORS[i % COLORS.length] ?? '#000', x, end),
  )
  const acts = report.acts.map((act) => {
    const from = round(x(act.startedMs))
    const text = `${act.version}: ${act.result}${act.result === 'RolledBack' ? `, ${act.bad} bad` : ''}`
    return [
      `<line x1="${from}" x2="${from}" y1="${TOP - 14}" y2="${height - 40}" stroke="#a0aec0" stroke-dasharray="3 3"/>`,
      `<text x="${from + 4}" y="${TOP - 18}" font-size="12" fill="#2d3748">${escapeXml(text)}</text>`,
    ].join('\n')
  })
  const ticks = Array.from({ length: Math.floor(end / 10_000) + 1 }, (_, i) => i * 10_000).map(
    (ms) =>
      `<text x="${round(x(ms))}" y="${height - 18}" font-size="11" fill="#718096" text-anchor="middle">${ms / 1000} s</text>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" role="img">`,
    '<title>Share of the traffic of each version over the time of the demo</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...acts,
    ...lanes,
    ...ticks,
    '</svg>',
    '',
  ].join('\n')
}

function lane(
  report: DemoReport,
  name: string,
  top: number,
  color: string,
  x: (ms: number) => number,
  end: number,
): string {
  const bottom = top + LANE
  const points = report.timeline.map((point) => ({ at: point.atMs, share: point.weights[name] ?? 0 }))
  const path = points.map((point, i) => {
    const until = points[i + 1]?.at ?? end
    const y = round(bottom - (point.share / 100) * LANE)
    return `L${round(x(point.at))} ${y} L${round(x(until))} ${y}`
  })
  return [
    `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${bottom}" y2="${bottom}" stroke="#e2e8f0"/>`,
    `<text x="${LEFT - 12}" y="${bottom - LANE / 2 + 4}" font-size="13" font-weight="600" fill="${color}" text-anchor="end">${escapeXml(name)}</text>`,
    `<path d="M${round(x(points[0]?.at ?? 0))} ${bottom} ${path.join(' ')} L${round(x(end))} ${bottom} Z" fill="${color}" fill-opacity="0.75"/>`,
  ].join('\n')
}

function round(n: number): number {
  return Math.round(n * 10) / 10
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
