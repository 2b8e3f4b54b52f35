import { readFileSync } from 'node:fs'
import { expect, vi } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { mergePatchType, type RawClient } from '../../conformance/apiserver.client.ts'

const root = new URL('../../../', import.meta.url)

/** As whom Sluice runs where it is installed as shipped. */
export const SLUICE = 'system:serviceaccount:sluice-system:sluice'

/** The objects of deploy/policies/latch.yaml, exempting `username`. */
export function latchObjects(username = SLUICE): { kind: string }[] {
  const text = readFileSync(new URL('deploy/policies/latch.yaml', root), 'utf8')
  return parseAllDocuments(text.replaceAll(SLUICE, username)).map((document) => document.toJS())
}

const plurals: Record<string, string> = {
  MutatingAdmissionPolicy: 'mutatingadmissionpolicies',
  MutatingAdmissionPolicyBinding: 'mutatingadmissionpolicybindings',
}

/** Asks as somebody else, who may do anything that admission allows. */
export const as = (user: string) => ({ 'Impersonate-User': user, 'Impersonate-Group': ['system:masters'] })

export const deployments = '/apis/apps/v1/namespaces/default/deployments'

/** Installs the latch and waits until it works: a policy takes effect a moment after it is stored. */
export async function installLatch(client: RawClient, username = SLUICE): Promise<void> {
  for (const object of latchObjects(username)) {
    const path = `/apis/admissionregistration.k8s.io/v1/${plurals[object.kind]}?fieldValidation=Strict`
    const answer = await client.request('POST', path, { body: object })
    if (answer.body.reason !== 'AlreadyExists') expect(answer.body.message ?? '').toBe('')
  }
  const probe = latched('probe')
  await client.request('POST', deployments, { body: probe })
  await vi.waitFor(async () => {
    const body = { spec: { template: { metadata: { annotations: { probe: 'yes' } } } } }
    const path = `${deployments}/probe?dryRun=All`
    const answer = await client.request('PATCH', path, { body, contentType: mergePatchType, headers: as('eve') })
    expect(answer.body.spec.paused).toBe(true)
  }, 20_000)
  await client.request('DELETE', `${deployments}/probe`)
}

/** A Deployment that carries the label of a Rollout. */
export function latched(name: string, image = 'registry.example/web:1.0.0') {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: { 'sluice.dev/rollout': name }, annotations: {} as Record<string, string> },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'web', image }] } },
    },
  }
}
