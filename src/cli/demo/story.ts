import type { Outcome } from '../../api/status.ts'
import type { Stage } from './stage.ts'
import type { Witness } from './witness.ts'

/** Where every story plays. */
export const NAMESPACE = 'shop'

/** What is to happen in one act. */
export interface Act {
  id: string
  title: string
  /** The version that is released, by the name that status and pods give it. */
  version: string
  /** Name of the destination through which the new version gets its traffic. */
  lane: string
  /** The commit that starts it, and what it changes. */
  commit: string
  edit(files: Map<string, string>): Map<string, string>
  expected: {
    result: Outcome['result']
    reason?: string
    /** Every weight the new version is given, in order. */
    weights?: number[]
    /** Requests of clients that may fail at most. */
    bad?: number
  }
}

/** A story that the demo can tell. */
export interface Story {
  id: string
  /** What is told, in half a sentence. */
  title: string
  /** Name of the Rollout, of its route, and of the host that clients ask for. */
  app: string
  /** What is in Git when the curtain rises. */
  opening: { commit: string; files(approvers: readonly string[]): Map<string, string> }
  /** Said when the app is healthy. */
  serving: string
  acts: readonly Act[]
  /** Whether the pods of each ReplicaSet are part of the story. */
  showsPods?: boolean
  /** Whether the world has come to rest after an act, besides Git and the Rollout. */
  settled?(world: World): boolean
  /** What else should be so at the end of an act and is not. */
  check?(act: Act, world: World): Promise<string[]> | string[]
}

/** What a story looks at from outside. */
export interface World {
  stage: Stage
  witness: Witness
  /** Epoch ms at which the act began. */
  since: number
}
