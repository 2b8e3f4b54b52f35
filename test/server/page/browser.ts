import { accessSync, constants, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const root = join(import.meta.dirname, '..', '..', '..')
/** Where screenshots of a test run are kept. */
export const SCREENSHOTS = join(root, 'test-results', 'screenshots')

/** The Chromium of this machine; undefined where there is none. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  for (const name of ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']) {
    for (const folder of folders) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // Not here.
      }
    }
  }
  return undefined
}

export async function openBrowser(executablePath: string): Promise<Browser> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  // Chromium refuses its sandbox to root, as containers of CI are; it only ever loads our own page here.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}

export const desktop = { viewport: { width: 1280, height: 900 } } satisfies BrowserContextOptions
export const phone = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
} satisfies BrowserContextOptions

/** A page whose every misdeed is written down. */
export interface Watched {
  page: Page
  /** Errors and warnings of the console, CSP violations included, and exceptions. */
  complaints: string[]
  /** Hosts that were asked. */
  hosts: Set<string>
  /** A screenshot of the whole page, kept by the test run. */
  shoot(name: string): Promise<void>
}

export async function watchedPage(browser: Browser, options: BrowserContextOptions = desktop): Promise<Watched> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  const hosts = new Set<string>()
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => void complaints.push(String(error)))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => void hosts.add(new URL(request.url()).host))
  return {
    page,
    complaints,
    hosts,
    async shoot(name) {
      await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true, animations: 'disabled' })
    },
  }
}

/** Texts whose contrast with what is behind them is below 4.5 (WCAG AA); for large ones 3. */
export function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      return [...canvas.getImageData(0, 0, 1, 1).data]
    }
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      return 0.2126 * x + 0.7152 * y + 0.0722 * z
    }
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = rgba(getComputedStyle(at).backgroundColor)
        if (colour[3] === 255) return colour
      }
      return [255, 255, 255, 255]
    }
    const faint = []
    for (const node of document.querySelectorAll('body *')) {
      const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== '')
      const box = node.getBoundingClientRect()
      if (!own || box.width < 2 || node.closest('.skip, .hidden, title, noscript')) continue
      const style = getComputedStyle(node)
      const colour = node instanceof SVGElement ? style.fill : style.color
      const [a, b] = [light(rgba(colour)), light(behind(node.parentElement && node instanceof SVGElement ? node.closest('svg.chart')?.parentElement ?? node.parentElement : node))]
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
      const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5
      if (ratio < least) faint.push(node.tagName + '.' + (node.getAttribute('class') ?? '') + ' "' + node.textContent.trim().slice(0, 40) + '" ' + ratio.toFixed(2))
    }
    return faint
  })()`)
}

/** How many pixels the page is wider than the screen. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
