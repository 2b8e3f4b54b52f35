import { simpleGit } from 'simple-git'
import type { ActReport } from './act.ts'
import type { Stage } from './stage.ts'

/** Everything that happened, for machines. */
export interface DemoReport {
  ok: boolean
  durationMs: number
  requestsPerSecond: number
  acts: ActReport[]
  /** Every change of the weights, ms since the start. */
  timeline: { atMs: number; weights: Record<string, number> }[]
  /** Newest first, as `git log` prints them. */
  commits: { hash: string; author: string; subject: string; trailers: Record<string, string> }[]
}

/** The commits of the configuration repository, with their trailers, newest first. */
export async function readCommits(stage: Stage): Promise<DemoReport['commits']> {
  const git = simpleGit({ baseDir: stage.sandbox.git.dir })
  const output = await git.raw(['log', 'main', '--format=%h%x00%an%x00%s%x00%(trailers:only,unfold)%x01'])
  return output
    .split('\x01')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [hash = '', author = '', subject = '', trailers = ''] = entry.split('\0')
      const lines = trailers.split('\n').filter((line) => line.includes(': '))
      return {
        hash,
        author,
        subject,
        trailers: Object.fromEntries(
          lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
        ),
      }
    })
}

/** The end of the demo for people: a table of the acts, and what Git tells of them. */
export function renderReport(report: DemoReport): string {
  const rows = report.acts.map((act) => [
    act.ok ? '✓' : '✗',
    act.version,
    act.title,
    act.result,
    act.weights.map((w) => `${w}%`).join(' → '),
    `${(act.durationMs / 1000).toFixed(1)} s`,
    `${act.bad} of ${act.requests}`,
    act.breachToZeroMs === undefined ? '–' : `${act.breachToZeroMs.toFixed(1)} ms`,
  ])
  const head = [
    '',
    'version',
    'act',
    'outcome',
    'weight of the new version',
    'took',
    'bad requests',
    'breach → weight 0',
  ]
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  const trailers = ['Step', 'Verdict', 'Evidence', 'Approved-by']
  const log = report.commits.flatMap(({ hash, author, subject, trailers: t }) => [
    `${hash} ${subject}${author === 'Sluice' ? '' : `  (${author})`}`,
    ...trailers.filter((key) => t[key]).map((key) => `        ${key}: ${t[key]}`),
  ])
  const failures = report.acts.flatMap((act) => act.failures.map((failure) => `✗ ${act.title}: ${failure}`))
  return [
    '',
    line(head),
    ...rows.map(line),
    '',
    'git log, newest first (trailers: Step, Verdict, Evidence, Approved-by)',
    '',
    ...log,
    ...(failures.length > 0 ? ['', ...failures] : []),
    '',
  ].join('\n')
}
