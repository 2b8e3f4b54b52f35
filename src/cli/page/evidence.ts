import type { RolloutSpec, Sli } from '../../api/rollout.ts'
import type { SliStatus } from '../../api/status.ts'
import { since } from '../age.ts'
import { bar } from '../bar.ts'
import { verdictPaint } from '../paint.ts'
import { count, type PageInput, paragraph, type SectionOf } from './section.ts'

const BAR = 20

/** What every SLI says, and how far its evidence is towards a breach. */
export const evidence: SectionOf = (input) => {
  const { analysis = [], canary, lastOutcome, phase } = input.rollout.status
  if (analysis.length === 0 || !(canary || phase === 'RolledBack')) return undefined
  const of = canary ? [] : paragraph(`of ${lastOutcome?.revision ?? 'the last rollout'}`, input.width)
  return { label: 'Evidence', lines: [...of, ...analysis.flatMap((sli) => sliLines(sli, input))] }
}

function sliLines(sli: SliStatus, input: PageInput): string[] {
  const { rollout, now, colours, width } = input
  const waiting = sli.verdict === 'NoData' || sli.verdict === 'Error'
  const lasting = waiting && sli.since ? ` for ${since(sli.since, now)}` : ''
  const measured =
    sli.observed === undefined ? `objective ${sli.objective}` : `${sli.observed} (objective ${sli.objective})`
  const lines = paragraph(`${sli.verdict}${lasting}  ${sli.name}: ${measured}`, width, { indent: 2 })
  const tone = verdictPaint(colours, sli.verdict)
  const [first = ''] = lines
  lines[0] = tone(sli.verdict) + first.slice(sli.verdict.length)
  const counted = countedText(sli, rollout.spec, rollout.status.canary !== undefined)
  if (counted !== '') lines.push(...indented(counted, width))
  const share = breachShare(sli, rollout.spec)
  if (share !== undefined && width >= BAR + 34) {
    const towards = share >= 1 ? 'a breach, if enough requests are bad' : 'towards a breach'
    const shown = share >= 1 ? 100 : Math.floor(share * 100)
    const words = sli.verdict === 'Breach' ? 'breach' : `${shown}% ${towards}`
    lines.push(`  ${(share >= 0.5 ? colours.bad : colours.busy)(bar(share, BAR))}  ${words}`)
  }
  if (sli.message !== undefined) lines.push(...indented(sli.message, width))
  return lines
}

function indented(text: string, width: number): string[] {
  return paragraph(text, width - 2).map((line) => `  ${line}`)
}

function countedText(sli: SliStatus, spec: RolloutSpec | undefined, inFlight: boolean): string {
  const { good, bad, stepEvents } = sli
  const declared = spec?.analysis.slis.find(({ name }) => name === sli.name)
  const parts = [
    good === undefined && bad === undefined ? '' : `${count(good ?? 0)} good, ${count(bad ?? 0)} bad`,
    stepEvents === undefined || !inFlight || !declared || !isRatio(declared)
      ? ''
      : `${count(stepEvents)} of at least ${count(spec?.analysis.minRequests ?? 0)} requests in this step`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}

/** How much of the evidence that makes a breach there is: 1 is a breach. Undefined where evidence is not what decides. */
export function breachShare(sli: SliStatus, spec: RolloutSpec | undefined): number | undefined {
  const declared = spec?.analysis.slis.find(({ name }) => name === sli.name)
  if (!spec || !declared || !isRatio(declared) || sli.evidence === undefined) return undefined
  const tests = spec.analysis.slis.filter(isRatio).length
  return Math.max(0, sli.evidence / Math.log10(tests / spec.analysis.alpha))
}

function isRatio(sli: Sli): boolean {
  return sli.query === undefined
}
