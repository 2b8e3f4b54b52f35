import { approveCommand, rejectCommand } from './approve.ts'
import type { CommandFactory } from './command.ts'
import { controllerCommand } from './controller.ts'
import { crdsCommand } from './crds.ts'
import { demoCommand } from './demo.ts'
import { describeCommand } from './describe.ts'
import { getCommand } from './get.ts'
import { historyCommand } from './history.ts'
import { requestCommands } from './request.ts'
import { sandboxCommand } from './sandbox.ts'
import { watchCommand } from './watch.ts'

/** Every command, in the order of --help. */
export const commands: readonly CommandFactory[] = [
  demoCommand,
  sandboxCommand,
  controllerCommand,
  crdsCommand,
  getCommand,
  describeCommand,
  watchCommand,
  historyCommand,
  approveCommand,
  rejectCommand,
  ...requestCommands,
]
