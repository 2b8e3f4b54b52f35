import { fieldAt } from '../../../kube/field.ts'
import type { Act, Story, World } from '../story.ts'
import {
  DEPLOYMENT_FILE,
  deployment,
  destinationRule,
  type Release,
  releases,
  releasing,
  rollout,
  service,
  virtualService,
} from './manifests.ts'

const APP = 'checkout'

function act(release: Release, rest: Pick<Act, 'id' | 'title' | 'expected'>): Act {
  return {
    ...rest,
    version: release.version,
    lane: 'canary',
    commit: `checkout: release ${release.version}`,
    edit: (files) => releasing(files, release),
  }
}

/** One Deployment whose image changes in Git: a good release, one with errors, one that cannot even start. */
export const deploymentStory: Story = {
  id: 'deployment',
  title: 'one Deployment whose image is changed in Git',
  app: APP,
  opening: {
    commit: 'checkout: 1.0.0 serves',
    files: (approvers) =>
      new Map([
        [DEPLOYMENT_FILE, deployment],
        ['service.yaml', service],
        ['destination-rule.yaml', destinationRule],
        ['virtual-service.yaml', virtualService],
        ['rollout.yaml', rollout(approvers)],
      ]),
  },
  serving: 'checkout 1.0.0 serves all traffic, from the pods it had before',
  acts: [
    act(releases.good, {
      id: 'good',
      title: 'a good release',
      expected: { result: 'Promoted', weights: [10, 50, 100, 0], bad: 0 },
    }),
    act(releases.errors, {
      id: 'errors',
      title: 'a release that fails 20 % of its requests',
      expected: { result: 'RolledBack', reason: 'Breach.success-rate' },
    }),
    act(releases.missing, {
      id: 'missing',
      title: 'a release whose image cannot be pulled',
      expected: { result: 'RolledBack', weights: [], bad: 0 },
    }),
  ],
  showsPods: true,
  settled: (world) => isResting(world),
  check: async (act, world) => [...checkPods(act, world), ...(await checkGit(act, world))],
}

/** The canary is gone, and the Deployment rolls templates again. */
function isResting({ stage, witness }: World): boolean {
  const live = stage.sandbox.api.storage.get({ group: 'apps', plural: 'deployments' }, { namespace: 'shop', name: APP })
  return fieldAt(live, 'spec', 'paused') !== true && witness.pods().every(({ workload }) => workload === APP)
}

function checkPods({ version, expected }: Act, { witness, since }: World): string[] {
  const promoted = expected.result === 'Promoted'
  const failures: string[] = []
  const current = witness.pods().map((pod) => pod.version)
  const wanted = current.filter((each) => each === version)
  if (promoted && wanted.length !== current.length) failures.push(`the pods run ${[...new Set(current)].join(' and ')}`)
  const own = witness.podsSince(since).filter((pod) => pod.workload === APP && pod.version === version)
  if (!promoted && own.length > 0)
    failures.push(`${own.length} pods of the Deployment ran ${version}, which never passed`)
  if (!witness.podsSince(since).some((pod) => pod.workload !== APP && pod.version === version))
    failures.push(`no canary pod of ${version} was ever there`)
  return failures
}

async function checkGit({ version, expected }: Act, { stage }: World): Promise<string[]> {
  const manifest = await stage.developer.read(DEPLOYMENT_FILE)
  const released = manifest.includes(`checkout:${version}`)
  if (expected.result === 'Promoted') return released ? [] : [`${version} is not in Git any more`]
  return released ? [`${version} is still in Git`] : []
}
