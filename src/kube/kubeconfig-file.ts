import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'

/** A kubeconfig that cannot be used. The message is one sentence for a person, with the file and, where there is one, the line. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
}

const text = z.string().nullish()

const clusterSchema = z.object({
  server: z
    .string('the address of the API server is missing; add `server: https://…`')
    .refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), 'is not an http(s) address'),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': z.boolean().nullish(),
  'tls-server-name': text,
  'proxy-url': text,
})

const execSchema = z.object({
  apiVersion: z.string('names no apiVersion, for example client.authentication.k8s.io/v1'),
  command: z.string('names no command'),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  installHint: text,
  provideClusterInfo: z.boolean().nullish(),
})

const userSchema = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  username: text,
  password: text,
  as: text,
  'as-groups': z.array(z.string()).nullish(),
  exec: execSchema.nullish(),
  'auth-provider': z.object({ name: z.string(), config: z.record(z.string(), z.unknown()).nullish() }).nullish(),
})

const contextSchema = z.object({ cluster: z.string('names no cluster'), user: text, namespace: text })

const name = z.string('has no name')

const fileSchema = z.object({
  'current-context': text,
  clusters: z.array(z.object({ name, cluster: clusterSchema })).nullish(),
  contexts: z.array(z.object({ name, context: contextSchema })).nullish(),
  users: z.array(z.object({ name, user: userSchema.nullish() })).nullish(),
})

export type ClusterEntry = z.infer<typeof clusterSchema>
export type UserEntry = z.infer<typeof userSchema>
type ContextEntry = z.infer<typeof contextSchema>

/** The entries of one or several kubeconfig files by name, with file paths made absolute. */
export interface Kubeconfig {
  files: string[]
  currentContext: string
  clusters: Map<string, ClusterEntry>
  contexts: Map<string, ContextEntry>
  users: Map<string, UserEntry>
}

/** Reads one file; undefined when it does not exist. Throws KubeconfigError when it is not a kubeconfig. */
export async function readKubeconfig(file: string): Promise<Kubeconfig | undefined> {
  let source: string
  try {
    source = await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (code === 'EISDIR') throw new KubeconfigError(`${file} is a folder, not a kubeconfig; name the file in it.`)
    throw new KubeconfigError(`${file} cannot be read (${String(code)}); check its owner and permissions.`)
  }
  return parseKubeconfig(source, file)
}

/** Parses the text of a kubeconfig. `file` is for messages and for relative paths. Messages never quote the text: it holds secrets. */
function parseKubeconfig(source: string, file: string): Kubeconfig {
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false })
  const broken = document.errors[0]
  if (broken) {
    const { line } = lines.linePos(broken.pos[0])
    const what = broken.code.toLowerCase().replaceAll('_', ' ')
    throw new KubeconfigError(`${file}, line ${line}: this is not YAML (${what}), so it cannot be a kubeconfig.`)
  }
  const parsed = fileSchema.safeParse(document.toJS())
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
    if (path.length === 0)
      throw new KubeconfigError(`${file} is not a kubeconfig: it is not a mapping with clusters, users and contexts.`)
    const field = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
    const line = lineOf(path)
    throw new KubeconfigError(`${file}${line ? `, line ${line}` : ''}: ${field.replace(/^\./, '')}: ${issue.message}.`)
  }
  const { clusters, contexts, users } = parsed.data
  const absolute = (path: string | null | undefined) => (path && !isAbsolute(path) ? join(dirname(file), path) : path)
  return {
    files: [file],
    currentContext: parsed.data['current-context'] ?? '',
    contexts: byName(clusterless(contexts)),
    clusters: byName(
      (clusters ?? []).map(({ name, cluster }) => {
        const authority = absolute(cluster['certificate-authority'])
        return [name, { ...cluster, 'certificate-authority': authority }] as const
      }),
    ),
    users: byName((users ?? []).map(({ name, user }) => [name, absoluteUser(user ?? {}, absolute)] as const)),
  }

  /** The line of the deepest part of the path that is there. */
  function lineOf(path: readonly (string | number)[]): number | undefined {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true)
      const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined
      if (Array.isArray(range) && typeof range[0] === 'number') return lines.linePos(range[0]).line
    }
    return undefined
  }
}

function clusterless(contexts: { name: string; context: ContextEntry }[] | null | undefined) {
  return (contexts ?? []).map(({ name, context }) => [name, context] as const)
}

function absoluteUser(
  user: UserEntry,
  absolute: (path: string | null | undefined) => string | null | undefined,
): UserEntry {
  const { exec } = user
  return {
    ...user,
    tokenFile: absolute(user.tokenFile),
    'client-certificate': absolute(user['client-certificate']),
    'client-key': absolute(user['client-key']),
    // A command with a slash in it is relative to the file; a bare one is looked up on the PATH.
    exec: exec?.command.includes('/') ? { ...exec, command: absolute(exec.command) ?? exec.command } : exec,
  }
}

function byName<T>(entries: readonly (readonly [string, T])[]): Map<string, T> {
  const map = new Map<string, T>()
  for (const [key, value] of entries) if (!map.has(key)) map.set(key, value)
  return map
}

/** Several files as one, as kubectl merges them: the first file that sets something wins. */
export function mergeKubeconfigs(configs: readonly Kubeconfig[]): Kubeconfig {
  return {
    files: configs.flatMap((config) => config.files),
    currentContext: configs.find((config) => config.currentContext !== '')?.currentContext ?? '',
    clusters: byName(configs.flatMap((config) => [...config.clusters])),
    contexts: byName(configs.flatMap((config) => [...config.contexts])),
    users: byName(configs.flatMap((config) => [...config.users])),
  }
}
