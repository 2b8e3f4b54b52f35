import type { ClusterFlags } from './cluster.ts'

/** The command line that does `verb` to a Rollout in the same cluster, ready to be pasted into a shell. */
export function commandLine(verb: string, rollout: { namespace: string; name: string }, flags: ClusterFlags): string {
  const { kubeconfig, context } = flags
  const options = [
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', quoted(kubeconfig)]),
    ...(context === undefined ? [] : ['--context', quoted(context)]),
  ]
  return ['sluice', verb, `${rollout.namespace}/${rollout.name}`, ...options].join(' ')
}

function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
