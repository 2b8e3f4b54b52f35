import { fieldAt, textAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { type TemplateContent, templateContent } from '../../plan/revision.ts'

/** Where the cache keeps the content of a ReplicaSet whose template it does not keep. */
export const CONTENT = 'content'

/** The content of the pod template of a Deployment or ReplicaSet, whole or as the cache keeps it. */
export function contentOf(object: KubeObject): TemplateContent {
  const hash = textAt(object, CONTENT, 'hash')
  const format = fieldAt(object, CONTENT, 'format')
  if (hash === undefined || typeof format !== 'number') return templateContent(fieldAt(object, 'spec', 'template'))
  const carried = textAt(object, CONTENT, 'carried')
  return { hash, format, image: textAt(object, CONTENT, 'image'), ...(carried === undefined ? {} : { carried }) }
}

/** Remembers the content of objects that never change, as those in a cache: hashing is most of the work of a look. */
export function createContents(): (object: KubeObject) => TemplateContent {
  const known = new WeakMap<KubeObject, TemplateContent>()
  return (object) => {
    const before = known.get(object)
    if (before) return before
    const content = contentOf(object)
    known.set(object, content)
    return content
  }
}
