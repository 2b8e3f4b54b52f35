import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** Prints the closing line of a test run from vitest's JSON report: `N passed, N failed`. */
const report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numFailedTestSuites: z.int(),
})
const { numPassedTests, numFailedTests, numFailedTestSuites } = report.parse(
  JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')),
)
// A file that cannot be loaded runs no test, and is a failure all the same.
const failed = Math.max(numFailedTests, numFailedTestSuites > 0 ? 1 : 0)
process.stdout.write(`${numPassedTests} passed, ${failed} failed\n`)
