import { readFile } from 'node:fs/promises'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '../kube/object.ts'
import type { Storage } from './apiserver/storage.ts'

const FILE = new URL('../../deploy/policies/latch.yaml', import.meta.url)
const PLURALS: Record<string, string> = {
  MutatingAdmissionPolicy: 'mutatingadmissionpolicies',
  MutatingAdmissionPolicyBinding: 'mutatingadmissionpolicybindings',
}

/** Installs the policy that latches Deployments, from the very file that a real cluster gets. */
export async function installLatch(storage: Storage): Promise<void> {
  for (const document of parseAllDocuments(await readFile(FILE, 'utf8'))) {
    const object = document.toJS() as KubeObject
    const plural = PLURALS[object.kind]
    if (plural) storage.create({ group: 'admissionregistration.k8s.io', plural }, object)
  }
}
