import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { createDeveloper } from '../../src/cli/demo/developer.ts'
import { desiring, NAMESPACE } from '../../src/cli/demo/manifests.ts'
import { buildStage, ROLLOUTS, type Stage } from '../../src/cli/demo/stage.ts'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'

/** The manifests of a file under deploy/, as objects. */
async function objects(path: string): Promise<KubeObject[]> {
  const text = await readFile(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject)
}

let dir: string
let stage: Stage
const refused: string[] = []

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-rbac-'))
  const rbac = [
    ...(await objects('base/namespace.yaml')),
    ...(await objects('base/rbac.yaml')),
    ...(await objects('base/secret-reader.yaml')),
  ]
  stage = await buildStage({
    dir,
    runtime,
    log: pino({ level: 'silent' }),
    onStep: () => undefined,
    prepare: (sandbox) => {
      for (const object of rbac) sandbox.api.storage.create(refOf(object), object)
      sandbox.api.onRequest((request) => {
        if (request.user === CONTROLLER_USER && request.status === 403)
          refused.push(
            `${request.verb} ${request.resource}${request.subresource ? `/${request.subresource}` : ''} in ${request.namespace ?? 'the cluster'}`,
          )
      })
      // What the demo applies from Git besides Rollouts needs more than Sluice has by itself: apply: All is granted by whoever wants it.
      sandbox.api.storage.create({ group: 'rbac.authorization.k8s.io', plural: 'rolebindings' }, applyEverything)
    },
    rbac: true,
  })
}, 60_000)

afterAll(async () => {
  await stage?.stop()
  await rm(dir, { recursive: true, force: true })
})

test('with the roles of deploy/ and nothing else, a rollout is carried through and nothing is refused', async () => {
  await until(() => phase() === 'Healthy')
  const developer = await createDeveloper({
    remote: stage.sandbox.git.fileUrl,
    dir: join(dir, 'other'),
    path: 'clusters/demo',
    branch: 'main',
  })
  await developer.commit('release', (files) => desiring(files, 'v2'))
  await until(() => phase() === 'AwaitingApproval')
  await developer.commit('never mind', (files) => desiring(files, 'v1'))
  await until(() => phase() === 'Healthy')
  expect(fieldAt(rollout(), 'status', 'lastOutcome', 'result')).toBe('Reverted')
  expect(refused).toEqual([])
}, 90_000)

test('Secrets cannot be read where nobody bound the role for it', async () => {
  const response = await fetch(`${stage.sandbox.api.url}/api/v1/namespaces/${NAMESPACE}/secrets/some`, {
    headers: { authorization: `Bearer ${stage.sandbox.api.token(CONTROLLER_USER)}` },
  })
  expect(response.status).toBe(403)
  refused.length = 0
})

const applyEverything = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'sluice-applies', namespace: NAMESPACE },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sluice-applies' },
  subjects: [{ kind: 'ServiceAccount', name: 'sluice', namespace: 'sluice-system' }],
}

function rollout(): KubeObject | undefined {
  return stage.sandbox.api.storage.get(ROLLOUTS, { namespace: NAMESPACE, name: 'my-app' })
}

function phase(): unknown {
  return fieldAt(rollout(), 'status', 'phase')
}

async function until(test: () => boolean): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (test()) return
    await runtime.sleep(100)
  }
  throw new Error(
    `still ${String(phase())}: ${String(fieldAt(rollout(), 'status', 'message'))}; refused: ${refused.join(', ')}`,
  )
}

function refOf(object: KubeObject): { group: string; plural: string } {
  const group = object.apiVersion.includes('/') ? (object.apiVersion.split('/')[0] ?? '') : ''
  return { group, plural: `${object.kind.toLowerCase()}s` }
}
