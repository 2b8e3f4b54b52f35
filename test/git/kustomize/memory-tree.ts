import type { TreeRepository } from '../../../src/git/listing.ts'
import { openTree, type Tree } from '../../../src/git/tree.ts'

/** The folder `prod` of a repository that is only these files. */
export async function treeOf(files: Record<string, string | Buffer>, path = 'prod'): Promise<Tree> {
  const repository: TreeRepository = {
    files: async (_commit, below) =>
      Object.keys(files)
        .filter((file) => below === '' || file === below || file.startsWith(`${below}/`))
        .map((file) => ({ path: file, sha: file, mode: '100644' })),
    contents: async (shas) => shas.map((sha) => Buffer.from(files[sha]!)),
  }
  return await openTree(repository, 'tip', path)
}
