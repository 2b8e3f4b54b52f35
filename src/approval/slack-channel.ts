import type { Logger } from 'pino'
import { createDelivery, type DeliveryConfig } from '../notify/delivery.ts'
import type { SlackApi, SlackPlace } from '../notify/slack-api.ts'
import type { Runtime } from '../runtime.ts'
import type { Approvals } from './approvals.ts'
import type { ApprovalChannel } from './channels.ts'
import { type Approval, isOpen, readApproval } from './object.ts'
import { renderQuestion } from './slack-message.ts'

export interface SlackChannelConfig extends Pick<DeliveryConfig, 'backoff' | 'giveUpAfterMs' | 'onLost'> {
  api: Pick<SlackApi, 'post' | 'update'>
  approvals: Pick<Approvals, 'get' | 'rememberMessage'>
  /** Id of the channel that is asked. */
  channel: string
  runtime: Runtime
  log: Logger
}

interface Shown {
  place: SlackPlace
  content: string
}

/**
 * One message per question, posted once and updated afterwards. Where the message is, is kept in the Approval's
 * status, so that a restart goes on with the same one.
 */
export function createSlackChannel(config: SlackChannelConfig): ApprovalChannel {
  const { api, approvals, channel, runtime, log, ...rest } = config
  const delivery = createDelivery({ ...rest, runtime, log, name: 'slack approvals' })
  const shown = new Map<string, Shown>()

  function remember(uid: string, what: Shown): void {
    shown.delete(uid)
    const [oldest] = shown.keys()
    if (shown.size >= 1_000 && oldest !== undefined) shown.delete(oldest)
    shown.set(uid, what)
  }

  async function deliver(approval: Approval): Promise<void> {
    const message = renderQuestion(approval, runtime.now())
    const content = JSON.stringify(message)
    const before = shown.get(approval.uid)
    if (before?.content === content) return
    // The cache this came from may be older than the message: ask the API server before posting a second one.
    const place = before?.place ?? approval.status.slack ?? (await approvals.get(approval))?.status.slack
    if (place !== undefined) {
      await api.update(place, message)
      remember(approval.uid, { place, content })
      return
    }
    if (!isOpen(approval, runtime.now())) return
    const posted = await api.post(channel, message)
    remember(approval.uid, { place: posted, content })
    await approvals.rememberMessage(approval, posted).catch((err: unknown) => {
      log.warn({ err, approval: `${approval.namespace}/${approval.name}` }, 'could not record where the message is')
    })
  }

  return {
    show(object) {
      const approval = readApproval(object)
      if (approval === undefined) return
      delivery.submit({ key: approval.uid, deliver: () => deliver(approval) })
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}
