import { errors } from '../errors.ts'
import { structuralSchema } from './crd.ts'
import { group, type Kind, kinds, version } from './kinds.ts'

type Node = { [key: string]: unknown }

const HEAD = '<!-- Generated from src/ by "npm run generate". Do not edit. -->'

/** The reference page of one kind: every field with type, default, bounds and meaning, as the schemas say them. */
export function referencePage(kind: Kind): string {
  const spec = structuralSchema(kind.spec)
  const sections = [
    `# ${kind.kind}`,
    `\`${group}/${version}\`, \`kubectl get ${kind.plural}\`${kind.shortNames.length > 0 ? ` (short: ${kind.shortNames.join(', ')})` : ''}`,
    String(spec.description ?? ''),
    '## spec',
    table(rows(spec, 'spec')),
  ]
  if (kind.status) sections.push('## status', table(rows(structuralSchema(kind.status), 'status')))
  return `${HEAD}\n\n${sections.join('\n\n')}\n`
}

/** Every error, with what to do about it. */
export function errorsPage(): string {
  const lines = Object.entries(errors).map(
    ([code, { fix }]) => `| <a id="${code.toLowerCase()}"></a>\`${code}\` | ${fix} |`,
  )
  const intro =
    'The code is the reason in conditions, events and logs; the message beside it says what is wrong and where. This page says what to do.'
  return `${HEAD}\n\n# Errors\n\n${intro}\n\n| code | what to do |\n|---|---|\n${lines.join('\n')}\n`
}

/** Every generated page: path under docs/ → text. */
export function pages(): Record<string, string> {
  return {
    'errors.md': errorsPage(),
    ...Object.fromEntries(
      Object.values(kinds).map((kind) => [`reference/${kind.kind.toLowerCase()}.md`, referencePage(kind)]),
    ),
  }
}

function rows(node: Node, path: string, required = false): string[] {
  const own = path.includes('.') || path.includes('[') ? [row(node, path, required)] : []
  const wanted = Array.isArray(node.required) ? node.required : []
  const properties = Object.entries((node.properties as Record<string, Node> | undefined) ?? {})
  const inside = properties.flatMap(([name, child]) => rows(child, `${path}.${name}`, wanted.includes(name)))
  const items = node.items as Node | undefined
  const entries = items?.properties ? rows({ properties: items.properties, required: items.required }, `${path}[]`) : []
  return [...own, ...inside, ...entries.filter((line) => !line.startsWith(`| \`${path}[]\` |`))]
}

function row(node: Node, path: string, required: boolean): string {
  const field = path.replace(/^(spec|status)\./, '')
  return `| \`${field}\` | ${typeOf(node)} | ${required ? 'required' : defaultOf(node)} | ${cell(String(node.description ?? ''))} |`
}

function typeOf(node: Node): string {
  if (node['x-kubernetes-int-or-string']) return 'integer or string'
  if (Array.isArray(node.enum)) return node.enum.map((value) => `\`${value}\``).join(' \\| ')
  if (node.type === 'array') return `list of ${typeOf((node.items as Node | undefined) ?? {})}`
  const bounds = [
    node.minimum === undefined ? '' : `${node.exclusiveMinimum ? '>' : '≥'} ${node.minimum}`,
    node.maximum === undefined ? '' : `${node.exclusiveMaximum ? '<' : '≤'} ${node.maximum}`,
  ].filter((part) => part !== '')
  return `${node.type ?? 'object'}${bounds.length > 0 ? ` ${bounds.join(', ')}` : ''}`
}

function defaultOf(node: Node): string {
  if (node.default === undefined) return ''
  const text = JSON.stringify(node.default)
  return text.length > 40 ? 'see description' : `\`${text}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;')
}

function table(lines: string[]): string {
  return `| field | type | default | meaning |\n|---|---|---|---|\n${lines.join('\n')}`
}
