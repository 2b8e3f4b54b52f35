import { ApiError } from './status.ts'

/** The media types of the patches a kind takes: custom resources take no strategic merge. */
export function patchTypes(builtin: boolean): string[] {
  const types = ['application/json-patch+json', 'application/merge-patch+json']
  if (builtin) types.push('application/strategic-merge-patch+json')
  return [...types, 'application/apply-patch+yaml']
}

/** The 415 that lists them. */
export function unsupportedPatch(builtin: boolean): ApiError {
  return new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${patchTypes(builtin).join(', ')}`,
  )
}
