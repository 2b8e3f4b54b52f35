import { z } from 'zod'

/** A field that holds the name of a Kubernetes object. */
export const name = (description: string) =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be a Kubernetes name: lower-case letters, digits, - and .')
    .meta({ description })

/** A field that holds a short name of people’s own: a subset, a route. */
export const label = (description: string) => z.string().min(1).max(63).meta({ description })
