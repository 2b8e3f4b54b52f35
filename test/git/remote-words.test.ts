import { describe, expect, test } from 'vitest'
import { scrub } from '../../src/git/command.ts'
import { classify } from '../../src/git/failure.ts'
import { isBranchName } from '../../src/git/plumbing.ts'
import { isSsh, normaliseUrl, originOf, withoutPassword } from '../../src/git/url.ts'

describe('one remote, however its URL is written', () => {
  test.each([
    ['https://Git.Example.com/shop/config.git', 'https://git.example.com/shop/config'],
    ['https://git.example.com:443/shop/config/', 'https://git.example.com/shop/config'],
    ['https://user@git.example.com/shop//config', 'https://git.example.com/shop/config'],
    ['git@git.example.com:shop/config.git', 'ssh://git@git.example.com/shop/config'],
    ['ssh://git@git.example.com:22/shop/config', 'ssh://git@git.example.com/shop/config'],
    ['file:///srv/config.git', 'file:///srv/config'],
  ])('%s', (url, normal) => expect(normaliseUrl(url)).toBe(normal))

  test('ssh, origins and passwords are recognised', () => {
    expect([isSsh('git@h:p'), isSsh('ssh://h/p'), isSsh('https://h/p'), isSsh('file:///p')]).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(originOf('https://u@h.example:8443/p')).toBe('https://h.example:8443/')
    expect(withoutPassword('https://u:secret@h/p')).toBe('https://u@h/p')
  })
})

describe('what remotes say', () => {
  const problem = (reason: string, transient: boolean) => ({ kind: 'problem', problem: { reason }, transient })
  test.each([
    ['! [rejected] main -> main (fetch first)', { kind: 'lostRace' }],
    [
      "! [remote rejected] main -> main (cannot lock ref 'refs/heads/main': is at 1 but expected 2)",
      { kind: 'lostRace' },
    ],
    ['! [remote rejected] main -> main (failed to update ref)', { kind: 'lostRace' }],
    [
      'remote: error: GH006: Protected branch update failed for refs/heads/main.\n! [remote rejected] main -> main (protected branch hook declined)',
      problem('GitProtected', false),
    ],
    [
      'remote: GitLab: You are not allowed to push code to protected branches on this project.\n! [remote rejected] main -> main (pre-receive hook declined)',
      problem('GitProtected', false),
    ],
    [
      'remote: error: GH013: Repository rule violations found for refs/heads/main.\nremote: - Changes must be made through a pull request.\n! [remote rejected] main -> main (push declined due to repository rule violations)',
      problem('GitProtected', false),
    ],
    [
      'remote: Gitea: Not allowed to push to protected branch main\nTo https://h/p\n! [remote rejected] main -> main (pre-receive hook declined)',
      problem('GitProtected', false),
    ],
    [
      'remote: Branch refs/heads/main can only be modified through pull requests.\n! [remote rejected] main -> main (pre-receive hook declined)',
      problem('GitProtected', false),
    ],
    [
      'remote: Permission denied to update branch main.\n! [remote rejected] main -> main (pre-receive hook declined)',
      problem('GitProtected', false),
    ],
    [
      '! [remote rejected] main -> main (TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.)',
      problem('GitProtected', false),
    ],
    ["fatal: Authentication failed for 'https://h/p'", problem('GitAuth', true)],
    ["fatal: could not read Username for 'https://h': terminal prompts disabled", problem('GitAuth', true)],
    ['git@h: Permission denied (publickey).', problem('GitAuth', true)],
    ['No user exists for uid 1000660000\nfatal: Could not read', problem('GitUnreachable', true)],
    ['fatal: https://h/p/info/refs not valid: is this a git repository?', problem('GitUnreachable', true)],
    ['fatal: bad shallow line: nonsense', { kind: 'corrupt' }],
    ['Host key verification failed.', problem('GitAuth', true)],
    ["fatal: couldn't find remote ref refs/heads/x", problem('GitBranchMissing', true)],
    ["fatal: unable to access 'https://h/': Could not resolve host: h", problem('GitUnreachable', true)],
    ["fatal: repository 'https://h/p/' not found", problem('GitUnreachable', true)],
    ['error: object file objects/ab/cd is empty', { kind: 'corrupt' }],
    ["fatal: Unable to create '/x/shallow.lock': File exists.", { kind: 'locked' }],
  ])('%s', (text, failure) => expect(classify(text, { url: 'https://h/p', branch: 'x' })).toMatchObject(failure))

  test('secrets are gone from what is repeated', () => {
    const text = scrub("fatal: unable to access 'https://u:p4ss@h/': authorization: Basic dTpw hunter2", ['hunter2'])
    expect(text).toBe("fatal: unable to access 'https://u:***@h/': authorization: Basic *** ***")
  })
})

test('branch names cannot be options, refspecs or paths', () => {
  for (const name of ['main', 'release/1.2', 'a.b']) expect(isBranchName(name)).toBe(true)
  for (const name of ['-f', '+main', 'a:b', 'a..b', '/a', 'a/', 'a b', 'a~1', '@', 'x.lock', '.a', 'a\n', 'refs/*']) {
    expect([name, isBranchName(name)]).toEqual([name, name === '+main'])
  }
})

test('a server that never stops talking keeps nobody waiting, and hides no secret', () => {
  const secret = 's3cret-t0ken'
  for (const word of ['a', '.', 'Remote branch ', 'ssh://', `${secret} `, 'No x host key is known for ']) {
    const said = scrub(`remote: ${word.repeat(2_000_000 / word.length)}\nfatal: the end`, [secret])
    expect(said).not.toContain(secret)
    expect(said.length).toBeLessThan(40_000)
    expect(said).toContain('fatal: the end')
    const failure = classify(said, { url: 'https://git.example.com/a/b' })
    expect(JSON.stringify(failure).length).toBeLessThan(1_000)
  }
})
