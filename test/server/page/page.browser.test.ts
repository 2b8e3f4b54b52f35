import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clickApprove } from '../../../src/cli/demo/approver.ts'
import type { Controller } from '../../../src/controller/manager.ts'
import { textAt } from '../../../src/kube/field.ts'
import { openStage, refs, type Scene, type Stage } from '../../scenario/stage.ts'
import {
  desktop,
  faintTexts,
  findChromium,
  openBrowser,
  overflow,
  phone,
  SCREENSHOTS,
  type Watched,
  watchedPage,
} from './browser.ts'

const executable = findChromium()
const secret = 'a signing secret of no importance'
const skipped = executable === undefined ? ' (skipped: no Chromium on the PATH)' : ''

describe.skipIf(executable === undefined)(`the page in Chromium${skipped}`, { timeout: 120_000 }, () => {
  let stage: Stage
  let controller: Controller
  let browser: Browser
  let scene: Scene
  beforeAll(async () => {
    stage = await openStage()
    controller = await stage.controller({ slack: { signingSecrets: [secret] } })
    await controller.synced
    browser = await openBrowser(executable ?? '')
    scene = await stage.scene('shop', {
      git: {},
      rate: 60,
      versions: [
        { name: 'v1' },
        { name: 'v2', behaviour: { ERROR_RATE: '0.004' } },
        { name: 'v3', behaviour: { ERROR_RATE: '0.4' } },
      ],
      rollout: {
        steps: [
          { weight: 10, hold: '1s' },
          { weight: 50, hold: '1s', approval: { from: ['slack-user:U0DANA'] } },
          { weight: 100, hold: '1s' },
        ],
        analysis: {
          minRequests: 10,
          slis: [
            { name: 'success-rate', successRate: { objective: 95 } },
            { name: 'latency', latency: { objective: 95, threshold: '500ms' } },
          ],
        },
      },
    })
    console.info(`screenshots are kept in ${SCREENSHOTS}`)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await stage?.stop()
  }, 60_000)

  const open = async (watched: Watched, path: string) => {
    await watched.page.goto(`${controller.pageUrl}${path}`)
    await watched.page.locator('#live[data-state="on"]').waitFor()
  }
  const shows = (page: Page, selector: string, text: string | RegExp, timeout = 30_000) =>
    page.locator(selector, { hasText: text }).first().waitFor({ timeout })
  const question = () =>
    stage.sandbox.api.storage
      .list(refs.approvals, { namespace: 'shop' })
      .find((object) => (textAt(object, 'status', 'state') ?? 'Pending') === 'Pending')

  test('shows a good release climb and a bad one fall back, live, on every screen, asking nobody else', async () => {
    const screens = {
      light: await watchedPage(browser, { ...desktop, colorScheme: 'light' }),
      dark: await watchedPage(browser, { ...desktop, colorScheme: 'dark' }),
      'phone-light': await watchedPage(browser, { ...phone, colorScheme: 'light' }),
      'phone-dark': await watchedPage(browser, { ...phone, colorScheme: 'dark' }),
    }
    const all = Object.entries(screens)
    const shootAll = (name: string) => Promise.all(all.map(([kind, each]) => each.shoot(`${name}-${kind}`)))
    for (const [, each] of all) {
      await open(each, '/rollouts/shop/my-app')
      // A page that were loaded anew would have forgotten this.
      await each.page.evaluate('window.neverReloaded = true')
    }
    const { page } = screens.light
    await shows(page, 'h1', 'Healthy')

    await scene.desire('v2')
    await shows(page, '#head .canary', '10 %')
    await page.locator('#ask').getByText('slack-user:U0DANA').waitFor()
    await shows(page, '#ask', /May v2-\w+ go from 10 % to 50 % of the traffic\?/)
    await shows(page, '#ask', 'sluice approve shop/my-app')
    await shows(page, '#way', 'waits for slack-user:U0DANA')
    await shows(page, '#ask time', /left/)
    await shootAll('asked')

    // The keyboard reaches the button, and the keyboard stays on it while the page changes around it.
    const copy = page.locator('#ask button.copy').first()
    await copy.focus()
    await page.keyboard.press('Enter')
    await shows(page, '#ask button.copy', /Copied|Selected/)

    const asked = question()
    if (!asked) throw new Error('nobody was asked')
    expect(await clickApprove(asked, controller.url, secret, Date.now())).toBe(200)
    await shows(page, '#head .canary', '50 %')
    await shows(page, '#weights', 'approved by slack-user:U0DANA')
    await shows(page, '#git', '10% → 50%')
    await page.locator('#slis .stable').first().waitFor()
    await shootAll('climbing')
    await shows(page, '#past', 'Promoted')
    await shows(page, '#weights .told', /50 % → 100 %/)

    await scene.desire('v3')
    await shows(page, '#head .pill', /Roll(ed|ing) back/)
    await shows(page, '#past', 'Known bad')
    await shows(page, '#slis', /Breach: (more than )?\d+(\.\d+)? % sure that the objective is broken/)
    await shows(page, '.message', /success-rate .*objective 95/)
    await shows(page, '#slis .sides', /Canary\s*\d+[\s\S]*Stable\s*\d+/)
    await shows(page, '#git', 'roll back')
    await shootAll('rolled-back')

    const host = new URL(controller.pageUrl ?? '').host
    for (const [kind, each] of all) {
      expect(await each.page.evaluate('window.neverReloaded'), kind).toBe(true)
      expect(each.complaints, kind).toEqual([])
      expect([...each.hosts], kind).toEqual([host])
      expect(await overflow(each.page), kind).toBe(0)
      expect(await faintTexts(each.page), kind).toEqual([])
    }

    await Promise.all(all.map(([, each]) => open(each, '/')))
    await page.getByRole('searchbox').fill('nothing like this')
    await page.getByText('No Rollout matches').waitFor()
    await page.getByRole('searchbox').fill('shop my-app')
    await page.getByRole('link', { name: 'my-app' }).waitFor()
    await shootAll('list')
    for (const [kind, each] of all) expect(await overflow(each.page), kind).toBe(0)
    await page.keyboard.press('Tab')
    await page.getByRole('link', { name: 'my-app' }).click()
    await shows(page, '#head', 'shop/my-app')
    for (const [, each] of all) await each.page.context().close()
  })

  test('says the same without a script, and loads itself anew', async () => {
    const plain = await watchedPage(browser, { ...desktop, javaScriptEnabled: false })
    await plain.page.goto(`${controller.pageUrl}/rollouts/shop/my-app`)
    await shows(plain.page, '#slis', 'success-rate')
    expect(await plain.page.locator('svg.chart').count()).toBeGreaterThan(1)
    expect(await plain.page.locator('noscript').count()).toBe(1)
    expect(await plain.page.locator('button.copy').first().isVisible()).toBe(false)
    expect(plain.complaints).toEqual([])
    await plain.page.context().close()
  })

  test('comes back by itself when the controller has been away', async () => {
    const watched = await watchedPage(browser)
    await open(watched, '/rollouts/shop/my-app')
    const listen = new URL(controller.pageUrl ?? '').host
    await controller.stop()
    await watched.page.locator('#live[data-state="trying"]').waitFor()
    controller = await stage.controller({ slack: { signingSecrets: [secret] }, page: listen })
    await controller.synced
    await watched.page.locator('#live[data-state="on"]').waitFor({ timeout: 30_000 })
    await scene.desire('v2')
    await shows(watched.page, '#head .pill', 'Healthy', 60_000)
    await watched.page.context().close()
  })
})
