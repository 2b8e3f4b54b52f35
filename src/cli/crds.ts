import { Command } from 'commander'
import { crdFiles } from '../api/crd.ts'
import type { CommandFactory } from './command.ts'

export const crdsCommand: CommandFactory = () =>
  new Command('crds').description('print the CustomResourceDefinitions, for kubectl apply -f -').action(() => {
    process.stdout.write(`${Object.values(crdFiles()).join('---\n')}`)
  })
