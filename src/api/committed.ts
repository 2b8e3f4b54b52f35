import { z } from 'zod'

const file = z
  .string()
  .min(1)
  .max(1024)
  .refine((f) => !f.startsWith('/') && !f.split('/').includes('..'), { error: 'must be a file inside the repository' })
  .meta({
    description: 'The file, relative to spec.path of the RolloutSource.',
    'x-kubernetes-validations': [
      {
        rule: "!self.startsWith('/') && !self.split('/').exists(p, p == '..')",
        message: 'must be a file inside the repository',
      },
    ],
  })

const path = (what: string) =>
  z
    .string()
    .min(1)
    .max(512)
    .meta({ description: `${what}, as keys with dots: image.tag, or apps[0]["my.app"].tag.` })

/**
 * Where the repository keeps what Sluice writes back, when that is no field of a plain manifest or of a kustomization: Helm values,
 * a HelmRelease, any YAML that some tool renders.
 */
export const committedValues = z
  .object({
    desired: z
      .object({ file, path: path('The scalar that names the desired subset') })
      .optional()
      .meta({ description: 'Subsets mode: what workload.subsets.desired is rendered from.' }),
    images: z
      .array(
        z.object({
          container: z.string().min(1).max(63).meta({ description: 'The container whose image it is.' }),
          file,
          path: path('The scalar'),
          form: z
            .enum(['Image', 'Tag', 'Digest'])
            .default('Tag')
            .meta({ description: 'What the scalar holds: the whole image, its tag, or its digest.' }),
        }),
      )
      .min(1)
      .max(20)
      .optional()
      .meta({
        description: 'Deployment mode: what the images of the pod template are rendered from.',
        'x-kubernetes-list-type': 'atomic',
      }),
    weights: z
      .object({
        file,
        stable: path('The scalar with stable’s weight'),
        canary: path('The scalar with the canary’s weight'),
      })
      .optional()
      .meta({ description: 'What the two weights are rendered from.' }),
  })
  .meta({
    description: 'Where the repository keeps what Sluice writes back, when a tool renders the manifests from it.',
  })

export type CommittedValues = z.output<typeof committedValues>
