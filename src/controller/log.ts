import pino, { type Logger } from 'pino'

/** Structured log on standard error: a constant message plus fields, one JSON object a line. Secrets are never among the fields. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization', 'headers'],
        censor: '[redacted]',
      },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}
