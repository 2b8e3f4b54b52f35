import type { RawClient } from '../conformance/apiserver.client.ts'
import type { Manifest } from './kustomize.ts'

/** The path under which objects of a manifest's kind are created, looked up in discovery. */
export async function collectionOf(client: RawClient, manifest: Manifest, namespace = 'default'): Promise<string> {
  const base = manifest.apiVersion.includes('/') ? `/apis/${manifest.apiVersion}` : `/api/${manifest.apiVersion}`
  const { body } = await client.request('GET', base)
  const found = body.resources?.find((each: Manifest) => each.kind === manifest.kind && !each.name.includes('/'))
  if (!found) throw new Error(`the API server knows no ${manifest.apiVersion} ${manifest.kind}`)
  const within = found.namespaced ? `/namespaces/${manifest.metadata.namespace ?? namespace}` : ''
  return `${base}${within}/${found.name}`
}
