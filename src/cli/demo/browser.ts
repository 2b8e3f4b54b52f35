import { spawn } from 'node:child_process'

/** Whether a browser would have a screen to show itself on. */
export function hasDisplay(env: Record<string, string | undefined>, platform: string): boolean {
  return platform === 'darwin' || Boolean(env.DISPLAY) || Boolean(env.WAYLAND_DISPLAY)
}

/** Opens a page in the person's browser, as far as there is one; nothing waits for it. */
export function openBrowser(url: string, platform: string): void {
  const opener = platform === 'darwin' ? 'open' : 'xdg-open'
  const child = spawn(opener, [url], { stdio: 'ignore', detached: true })
  // Without an opener the address that was printed is all there is.
  child.on('error', () => undefined)
  child.unref()
}
