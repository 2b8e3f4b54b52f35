import type { Runtime } from '../../runtime.ts'
import { badRequest, type Cause, fieldInvalid, fieldRequired } from './status.ts'

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

export const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
const qualifiedNameRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

const labelKeyRule =
  "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"

export function isLabel(text: string): boolean {
  return text.length <= 63 && label.test(text)
}

function isSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text)
}

/** Kubernetes' suffix alphabet: no vowels and no look-alikes. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

export function generateName(base: string, runtime: Runtime): string {
  let suffix = ''
  for (let i = 0; i < 5; i++) suffix += alphabet[Math.floor(runtime.random() * alphabet.length)]
  return base.slice(0, 58) + suffix
}

/** Checks metadata.name after the kind's rule: services and namespaces are labels, RBAC names are path segments. */
export function validateName(group: string, plural: string, name: string): Cause[] {
  const field = 'metadata.name'
  if (name === '') return [fieldRequired(field, 'name or generateName is required')]
  if (group === 'rbac.authorization.k8s.io') {
    if (name === '.' || name === '..') return [fieldInvalid(field, name, `may not be '${name}'`)]
    return /[/%]/.test(name) ? [fieldInvalid(field, name, `may not contain '${name.includes('/') ? '/' : '%'}'`)] : []
  }
  if (group === '' && (plural === 'services' || plural === 'namespaces')) {
    if (name.length > 63) return [fieldInvalid(field, name, 'must be no more than 63 characters')]
    if (plural === 'services' && !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
      return [
        fieldInvalid(
          field,
          name,
          "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ),
      ]
    }
    return isLabel(name) ? [] : [fieldInvalid(field, name, labelRule)]
  }
  if (name.length > 253) return [fieldInvalid(field, name, 'must be no more than 253 characters')]
  return isSubdomain(name) ? [] : [fieldInvalid(field, name, subdomainRule)]
}

export function validateLabels(labels: Record<string, unknown>, field: string): Cause[] {
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(labels)) {
    causes.push(...validateQualifiedKey(key, field))
    if (typeof value !== 'string') continue
    if (value.length > 63) causes.push(fieldInvalid(field, value, 'must be no more than 63 characters'))
    if (value !== '' && !qualifiedName.test(value)) causes.push(fieldInvalid(field, value, labelValueRule))
  }
  return causes
}

/** A label, annotation or finalizer key: an optional DNS prefix, a slash, a name of at most 63 characters. */
export function validateQualifiedKey(key: string, field: string): Cause[] {
  const slash = key.lastIndexOf('/')
  const name = key.slice(slash + 1)
  if (key.indexOf('/') !== slash) return [fieldInvalid(field, key, labelKeyRule)]
  if (slash >= 0 && !isSubdomain(key.slice(0, slash))) return [fieldInvalid(field, key, `prefix part ${subdomainRule}`)]
  if (name === '') return [fieldInvalid(field, key, 'name part must be non-empty')]
  if (name.length > 63) return [fieldInvalid(field, key, 'name part must be no more than 63 characters')]
  return qualifiedName.test(name) ? [] : [fieldInvalid(field, key, qualifiedNameRule)]
}

/** Refuses an object of another name than the one on the URL, before anybody looks whether it exists. */
export function checkName(name: string, onUrl: string): void {
  if (name === onUrl) return
  throw badRequest(
    name === ''
      ? `the name of the object (${onUrl} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${name}) does not match the name on the URL (${onUrl})`,
  )
}
