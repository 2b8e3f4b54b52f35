import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { simpleGit } from 'simple-git'

/** A developer with a clone of the configuration repository: edits, commits and pushes like anybody else. */
export interface Developer {
  /** Commits what `edit` makes of the newest files of the folder itself, and pushes; does it again when somebody pushed first. */
  commit(message: string, edit: (files: Map<string, string>) => Map<string, string>): Promise<void>
  /** A file as it is at the tip of the branch; empty when there is none. */
  read(file: string): Promise<string>
}

export async function createDeveloper(options: {
  remote: string
  dir: string
  path: string
  branch: string
}): Promise<Developer> {
  const { remote, dir, path, branch } = options
  await mkdir(dir, { recursive: true })
  const folder = join(dir, path)
  const git = simpleGit({ baseDir: dir })
  await git.init(['--initial-branch', branch])
  await git.addConfig('user.name', 'Dana Developer')
  await git.addConfig('user.email', 'dana@example.com')
  await git.addConfig('commit.gpgsign', 'false')
  await git.addRemote('origin', remote)

  async function read(): Promise<Map<string, string>> {
    await mkdir(folder, { recursive: true })
    const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml'))
    return new Map(
      await Promise.all(
        names.map(async (name): Promise<[string, string]> => [name, await readFile(join(folder, name), 'utf8')]),
      ),
    )
  }

  return {
    async read(file) {
      await git.fetch('origin', branch)
      return git.show(`origin/${branch}:${path}/${file}`).catch(() => '')
    },
    async commit(message, edit) {
      for (let attempt = 1; ; attempt++) {
        const fetched = await git.fetch('origin', branch).catch(() => undefined)
        if (fetched) await git.reset(['--hard', `origin/${branch}`])
        for (const [name, text] of edit(await read())) {
          await mkdir(dirname(join(folder, name)), { recursive: true })
          await writeFile(join(folder, name), text)
        }
        await git.add('.')
        await git.commit(message)
        try {
          await git.push('origin', `HEAD:${branch}`)
          return
        } catch (error) {
          if (attempt >= 5) throw error
        }
      }
    },
  }
}
