import type { z } from 'zod'
import type { Problem } from '../errors.ts'
import { checkWindows } from '../plan/windows.ts'
import { type RolloutSpec, rolloutSpec } from './rollout.ts'
import { type RolloutSourceSpec, rolloutSourceSpec } from './rolloutsource.ts'

export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: Problem }

/** Reads `spec` of a Rollout as anybody may have written it: every default filled in, or what is wrong and where. Never throws. */
export function parseRolloutSpec(spec: unknown): Parsed<RolloutSpec> {
  const parsed = rolloutSpec.safeParse(spec)
  if (!parsed.success) return { ok: false, problem: firstIssue(parsed.error) }
  const problem = notYet(parsed.data) ?? unreadableWindow(parsed.data)
  return problem ? { ok: false, problem } : { ok: true, value: parsed.data }
}

/** Reads `spec` of a RolloutSource; see `parseRolloutSpec`. */
export function parseRolloutSourceSpec(spec: unknown): Parsed<RolloutSourceSpec> {
  const parsed = rolloutSourceSpec.safeParse(spec)
  if (!parsed.success) return { ok: false, problem: firstIssue(parsed.error) }
  return { ok: true, value: parsed.data }
}

/** The first thing that is wrong, with the path of its field from the object's root. */
export function firstIssue(error: z.ZodError, root = 'spec'): Problem {
  const issue = error.issues[0]
  const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  const field = `${root}${path}`
  return { reason: 'InvalidSpec', message: `${field} ${sentenceOf(issue?.message ?? 'is not valid')}`, field }
}

function sentenceOf(message: string): string {
  const text = message.replace(/^Invalid input: /, 'is wrong: ').replace(/\.$/, '')
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** Parts of the API that are declared but not built: refused by name rather than ignored. */
function notYet(spec: RolloutSpec): Problem | undefined {
  const { traffic, analysis, dependsOn } = spec
  const missing: [boolean, string, string][] = [
    [traffic.linkerd !== undefined, 'spec.traffic.linkerd', 'Linkerd'],
    [traffic.gatewayAPI !== undefined, 'spec.traffic.gatewayAPI', 'Gateway API'],
    [analysis.compare !== undefined, 'spec.analysis.compare', 'comparison with stable'],
    [(analysis.templates ?? []).length > 0, 'spec.analysis.templates', 'analysis templates'],
    [dependsOn.length > 0, 'spec.dependsOn', 'dependencies between Rollouts'],
  ]
  const hit = missing.find(([there]) => there)
  return hit && unsupported(hit[1], hit[2])
}

function unsupported(field: string, what: string): Problem {
  return { reason: 'NotYet', message: `${field}: ${what} is not yet supported`, field }
}

function unreadableWindow(spec: RolloutSpec): Problem | undefined {
  const bad = checkWindows(spec.windows)
  return bad && { reason: 'InvalidSpec', message: `${bad.field}: ${bad.message}`, field: bad.field }
}
