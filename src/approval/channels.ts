import type { KubeObject } from '../kube/object.ts'

/**
 * A way to ask people that shows questions where they are: Slack over HTTP today. Answers come in on their own path
 * (an endpoint, a socket) and end in `Approvals.add`, whichever channel they came through.
 */
export interface ApprovalChannel {
  /**
   * Shows an Approval as it stands: asks when it is new, updates the same message afterwards, takes the buttons away
   * when it is closed. Called for every change of the object, by the leader only; returns at once and never throws.
   */
  show(object: KubeObject): void
  /** Lets what is queued go out for at most `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

/** Shows every question in all of `channels`. */
export function allChannels(channels: readonly ApprovalChannel[]): ApprovalChannel {
  return {
    show: (object) => {
      for (const channel of channels) channel.show(object)
    },
    async stop(graceMs) {
      await Promise.all(channels.map((channel) => channel.stop(graceMs)))
    },
  }
}
