import { Command } from 'commander'
import type { CommandFactory } from './command.ts'

export const crdsCommand: CommandFactory = (_exit, terminal) =>
  new Command('crds').description('print the CustomResourceDefinitions, for kubectl apply -f -').action(async () => {
    const { crdFiles } = await import('../api/crd.ts')
    terminal.out(Object.values(crdFiles()).join('---\n'))
  })
