import { SluiceError } from '../errors.ts'
import type { Branch } from './branch.ts'
import { rolloutTrailer } from './message.ts'
import type { Identity } from './operation.ts'
import { otherCluster } from './operation.ts'
import { collides, type OwnBranch, pushFailure, readOwnBranch } from './pull-branch.ts'
import type { SourceRef } from './source-ref.ts'
import { type AskedMove, formatStateFile, parseStateFile, type StoredState, stateFilePath } from './statefile.ts'
import { formatTrailers, oneLine } from './trailers.ts'
import { worded, wordingValues } from './wording.ts'

/** Names the digest that the commit of a question asks for. It is no operation, and so in no history. */
export const askTrailer = 'Rollout-Asks'

/** A move that people are asked for in a pull request. */
export interface AskedQuestion {
  rollout: { namespace: string; name: string }
  /** Name of its branch. */
  name: string
  move: AskedMove
  steps: number
  revision: string
  /** When it was asked first, epoch ms. */
  at: number
}

/**
 * Has the branch that asks: one commit that writes the move into the state file, on the present tip or one from which it does not
 * differ in that file. A branch to which a person has pushed is left as it is. Throws SluiceError and ForgeFailure.
 */
export async function ensureQuestion(
  branch: Branch,
  source: SourceRef,
  identity: Identity,
  asked: AskedQuestion,
): Promise<OwnBranch | undefined> {
  const { rollout, name } = asked
  const own = await readOwnBranch(branch, source, rollout, name)
  if (own?.foreign) return own
  const round = own && (await stateAt(branch, source, rollout, own.head))?.asked?.round
  if (own && round === asked.move.round && !(await collides(own, branch, source))) return own
  const tip = branch.tip!
  const file = stateFilePath(source.path, rollout)
  const state: StoredState = {
    ...((await stateAt(branch, source, rollout, tip, identity)) ?? { evidence: [], approvals: [], knownBad: [] }),
    cluster: identity.cluster,
    asked: asked.move,
  }
  const content = Buffer.from(formatStateFile(rollout, state), 'utf8')
  const { message, author } = words(source, identity, asked)
  const draft = { message, author, decidedAt: asked.at, at: asked.at, files: [{ path: file, content, mode: '100644' }] }
  const [sha] = await branch.repository.commit(tip, [draft], source.signingKey)
  const pushed = await branch.repository.replace(name, own?.head, sha, source.credentials)
  if (!pushed.ok) throw pushFailure(pushed)
  return await readOwnBranch(branch, source, rollout, name)
}

async function stateAt(
  branch: Branch,
  source: SourceRef,
  rollout: { namespace: string; name: string },
  commit: string,
  identity?: Identity,
): Promise<StoredState | undefined> {
  const file = stateFilePath(source.path, rollout)
  const [version] = await branch.repository.versions(file, [commit])
  if (!version) return undefined
  const parsed = parseStateFile(file, version.content)
  if (!identity) return parsed.ok ? parsed.state : undefined
  if (!parsed.ok) throw new SluiceError(parsed.problem)
  const { cluster } = parsed.state
  if (cluster !== identity.cluster && !identity.takeOver)
    throw new SluiceError(otherCluster(file, cluster, identity.cluster))
  return parsed.state
}

function words(source: SourceRef, identity: Identity, { rollout, move, steps, revision }: AskedQuestion) {
  const subject = `${rollout.name}: asks for ${move.from}% → ${move.to}% (${rollout.namespace})`
  const trailers = { Revision: revision, Step: `${move.step}/${steps}` }
  const entry = { kind: 'step' as const, subject, trailers }
  const wording = worded(source.write, wordingValues(rollout, entry, identity.cluster))
  const block = formatTrailers([
    [rolloutTrailer, `${rollout.namespace}/${rollout.name}`],
    [askTrailer, move.digest],
    ...Object.entries(trailers),
  ])
  return { message: `${oneLine(wording.subject)}\n\n${block}\n`, author: wording.author }
}
