import type { KubeClient } from '../kube/client.ts'
import { resources } from '../kube/resources.ts'

/** The name under which this cluster writes state files: as configured, else the UID of the kube-system namespace. */
export async function clusterNameOf(client: Pick<KubeClient, 'get'>, configured: string | undefined): Promise<string> {
  if (configured) return configured
  const system = await client.get(resources.namespaces, { name: 'kube-system' })
  const uid = system?.metadata.uid
  if (!uid) throw new Error('the namespace kube-system has no UID to name the cluster by; pass --cluster-name')
  return uid
}
