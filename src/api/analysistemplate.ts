import { z } from 'zod'
import { sli } from './analysis.ts'

/** A named list of SLIs with arguments, to be used by many Rollouts. */
export const analysisTemplateSpec = z
  .object({
    args: z
      .array(z.object({ name: z.string().min(1).max(63), default: z.string().max(1024).optional() }))
      .max(20)
      .default([])
      .meta({
        description: 'Arguments that a Rollout may give.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    slis: z
      .array(sli)
      .min(1)
      .max(20)
      .meta({
        description: 'What is measured.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
  })
  .meta({ description: 'A named list of SLIs with arguments.' })
