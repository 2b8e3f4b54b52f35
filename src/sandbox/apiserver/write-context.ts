import type { WriteContext } from './request-context.ts'
import type { ResourceRequest } from './server-parts.ts'
import { badRequest } from './status.ts'

const validations = ['Strict', 'Warn', 'Ignore'] as const

/** Reads what a write carries in its query and headers. */
export function writeContext(request: ResourceRequest): WriteContext {
  const { query, route, user } = request
  const dryRun = query.get('dryRun')
  if (dryRun !== null && dryRun !== '' && dryRun !== 'All') {
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`)
  }
  const asked = query.get('fieldValidation')
  const fieldValidation = validations.find((value) => value === (asked || 'Warn'))
  if (!fieldValidation) {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(asked)}: supported values: "", "Ignore", "Strict", "Warn"`,
    )
  }
  return {
    user,
    fieldManager: (query.get('fieldManager') || request.userAgent.split('/')[0] || 'unknown').slice(0, 128),
    version: route.version,
    dryRun: dryRun === 'All',
    fieldValidation,
    warnings: request.warnings,
    ...(route.subresource === 'status' ? { subresource: 'status' as const } : {}),
  }
}
