import { type Answer, mergePatchType, type RawClient } from '../conformance/apiserver.client.ts'
import type { Manifest } from '../deploy/kustomize.ts'

const groups: Record<string, string> = {
  namespaces: '/api/v1',
  serviceaccounts: '/api/v1',
  services: '/api/v1',
  pods: '/api/v1',
  events: '/api/v1',
  deployments: '/apis/apps/v1',
  replicasets: '/apis/apps/v1',
  virtualservices: '/apis/networking.istio.io/v1',
  destinationrules: '/apis/networking.istio.io/v1',
  rollouts: '/apis/sluice.dev/v1alpha1',
  rolloutsources: '/apis/sluice.dev/v1alpha1',
  approvals: '/apis/sluice.dev/v1alpha1',
  rolebindings: '/apis/rbac.authorization.k8s.io/v1',
}

/** Requests as people and controllers make them with kubectl, in the plurals of the API. */
export interface Api {
  path(plural: string, namespace?: string, name?: string): string
  /** Undefined when it does not exist. */
  get(plural: string, namespace: string, name: string): Promise<Manifest | undefined>
  /** In every namespace unless told. */
  list(plural: string, namespace?: string): Promise<Manifest[]>
  create(plural: string, object: Manifest): Promise<Manifest>
  /** A merge patch; `by` asks as somebody else, who may do anything that admission allows. */
  patch(plural: string, namespace: string, name: string, body: object, by?: string): Promise<Manifest>
  /** The same, of the status. */
  patchStatus(plural: string, object: Manifest, status: object): Promise<void>
  /** What is gone already is deleted. */
  remove(plural: string, namespace: string, name: string): Promise<void>
}

export function apiOf(client: RawClient): Api {
  const path = (plural: string, namespace?: string, name?: string) =>
    `${groups[plural]}${namespace ? `/namespaces/${namespace}` : ''}/${plural}${name ? `/${name}` : ''}`

  function good(answer: Answer): Manifest {
    if (answer.status < 300) return answer.body
    throw new Error(`${answer.status} ${answer.body?.message ?? answer.body}`)
  }

  return {
    path,
    async get(plural, namespace, name) {
      const answer = await client.request('GET', path(plural, namespace, name))
      return answer.status === 404 ? undefined : good(answer)
    },
    list: async (plural, namespace) => good(await client.request('GET', path(plural, namespace))).items,
    create: async (plural, object) =>
      good(await client.request('POST', path(plural, object.metadata.namespace), { body: object })),
    async patch(plural, namespace, name, body, by) {
      const headers: Record<string, string | string[]> = by
        ? { 'Impersonate-User': by, 'Impersonate-Group': ['system:masters'] }
        : {}
      const options = { body, contentType: mergePatchType, headers }
      return good(await client.request('PATCH', path(plural, namespace, name), options))
    },
    async patchStatus(plural, { metadata }, status) {
      const options = { body: { status }, contentType: mergePatchType }
      good(await client.request('PATCH', `${path(plural, metadata.namespace, metadata.name)}/status`, options))
    },
    async remove(plural, namespace, name) {
      const answer = await client.request('DELETE', path(plural, namespace, name))
      if (answer.status !== 404) good(answer)
    },
  }
}
