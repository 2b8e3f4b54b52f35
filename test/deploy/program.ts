import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whether a program is on the PATH and runs. */
export function isThere(program: string, ...words: string[]): Promise<boolean> {
  return run(program, words).then(
    () => true,
    () => false,
  )
}

/** What a program prints; fails with what it says when it fails. `input` goes to its standard input. */
export function output(
  program: string,
  words: string[],
  { input, ...options }: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, words, { maxBuffer: 1 << 26, ...options }, (error, stdout, stderr) =>
      error
        ? reject(new Error(`${program} ${words.join(' ')}: ${stderr || stdout || error.message}`, { cause: error }))
        : resolve(stdout),
    )
    child.stdin?.end(input)
  })
}
