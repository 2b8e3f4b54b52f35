import pino, { type Logger, stdSerializers } from 'pino'
import { SluiceError } from '../errors.ts'
import { asKubeError } from '../kube/kube-error.ts'

/** Structured log on standard error: a constant message plus fields, one JSON object a line. Secrets are never among the fields. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization', 'headers'],
        censor: '[redacted]',
      },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}

/** What the world does is told in one line; only a bug shows where in the code it was met. */
function describeError(error: unknown): unknown {
  const kube = asKubeError(error)
  if (kube) return { type: kube.name, message: kube.message, status: kube.status, reason: kube.reason }
  if (error instanceof SluiceError) return { type: error.name, message: error.message, reason: error.problem.reason }
  return error instanceof Error ? stdSerializers.err(error) : error
}
