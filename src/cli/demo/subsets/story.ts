import type { Act, Story } from '../story.ts'
import {
  deployment,
  desiring,
  destinationRule,
  rollout,
  service,
  type Version,
  versions,
  virtualService,
  withVersion,
} from './manifests.ts'

function act(version: Version, rest: Pick<Act, 'id' | 'title' | 'expected'>): Act {
  return {
    ...rest,
    version: version.name,
    lane: version.name,
    commit: `my-app: release ${version.image.slice(version.image.indexOf(':') + 1)}`,
    edit: (files) =>
      desiring(files.has(`my-app-${version.name}.yaml`) ? files : withVersion(files, version), version.name),
  }
}

/** Versions that run side by side: a good release, one with errors, one that is slow. */
export const subsetsStory: Story = {
  id: 'subsets',
  title: 'versions that run side by side',
  app: 'my-app',
  opening: {
    commit: 'my-app: 1.0.0 serves, 2.0.0 stands by',
    files: (approvers) =>
      new Map([
        ['my-app-v1.yaml', deployment(versions.v1)],
        ['my-app-v2.yaml', deployment(versions.v2)],
        ['service.yaml', service],
        ['destination-rule.yaml', destinationRule],
        ['virtual-service.yaml', virtualService],
        ['rollout.yaml', rollout(approvers)],
      ]),
  },
  serving: 'my-app 1.0.0 serves all traffic',
  acts: [
    act(versions.v2, {
      id: 'good',
      title: 'a good release',
      expected: { result: 'Promoted', weights: [10, 50, 100] },
    }),
    act(versions.v3, {
      id: 'errors',
      title: 'a release that fails 20 % of its requests',
      expected: { result: 'RolledBack', reason: 'Breach.success-rate' },
    }),
    act(versions.v4, {
      id: 'slow',
      title: 'a release that is slow, without errors',
      expected: { result: 'RolledBack', reason: 'Breach.latency' },
    }),
  ],
}
