import type { KubeClient } from '../kube/client.ts'
import { fieldAt } from '../kube/field.ts'
import { asKubeError } from '../kube/kube-error.ts'
import { resources } from '../kube/resources.ts'
import type { Runtime } from '../runtime.ts'

/** A Secret that somebody named, or why it cannot be had. */
export type NamedSecret =
  | { ok: true; text(field: string): string | undefined; label(name: string): string | undefined }
  /** `waiting`: it may be there in a moment; otherwise somebody has to do something. */
  | { ok: false; message: string; waiting: boolean }

/**
 * Reads single Secrets by their names, as the narrow roles of deploy/base/secret-reader.yaml allow it, and remembers each for a short while:
 * strangers' requests and bursts of messages are not to become requests to the API server.
 */
export interface NamedSecrets {
  /** @param maxAgeMs what was read longer ago is read again; by default half a minute. */
  read(namespace: string, name: string, maxAgeMs?: number): Promise<NamedSecret>
}

const MAX_AGE_MS = 30_000
const REMEMBERED = 1_000

export function createNamedSecrets(client: Pick<KubeClient, 'get'>, runtime: Pick<Runtime, 'monotonic'>): NamedSecrets {
  const known = new Map<string, { at: number; secret: Promise<NamedSecret> }>()

  async function fetch(namespace: string, name: string): Promise<NamedSecret> {
    try {
      const secret = await client.get(resources.secrets, { namespace, name })
      if (!secret) return { ok: false, message: `the Secret ${namespace}/${name} does not exist`, waiting: false }
      return {
        ok: true,
        label: (label) => secret.metadata.labels?.[label],
        text(field) {
          const value = fieldAt(secret, 'data', field)
          return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8').trim() : undefined
        },
      }
    } catch (error) {
      const failure = asKubeError(error)
      if (!failure) throw error
      const message = failure.isForbidden
        ? `the Secret ${namespace}/${name} may not be read; bind the ClusterRole sluice-secret-reader in ${namespace}`
        : `the Secret ${namespace}/${name} cannot be read now`
      return { ok: false, message, waiting: !failure.isForbidden }
    }
  }

  return {
    read(namespace, name, maxAgeMs = MAX_AGE_MS) {
      const key = `${namespace}/${name}`
      const now = runtime.monotonic()
      const before = known.get(key)
      if (before && now - before.at < maxAgeMs) return before.secret
      known.delete(key)
      const [oldest] = known.keys()
      if (known.size >= REMEMBERED && oldest !== undefined) known.delete(oldest)
      const secret = fetch(namespace, name)
      known.set(key, { at: now, secret })
      // A blip of the API server is not to last for half a minute.
      secret.then(
        (found) => void (!found.ok && found.waiting && known.delete(key)),
        () => void known.delete(key),
      )
      return secret
    },
  }
}
