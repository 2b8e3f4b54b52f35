import { at, ensureObject, isObject, type Json, objects } from '../json.ts'
import { canonicalQuantity } from '../quantity.ts'
import { defaultDivisor, roundResources } from './resource-defaults.ts'

/** What the real server fills in where a source of this kind leaves it out. */
const sourceDefaults: Readonly<Record<string, Json>> = {
  configMap: { defaultMode: 420 },
  secret: { defaultMode: 420 },
  downwardAPI: { defaultMode: 420 },
  projected: { defaultMode: 420 },
  hostPath: { type: '' },
  iscsi: { iscsiInterface: 'default' },
  rbd: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
  azureDisk: { cachingMode: 'ReadWrite', fsType: 'ext4', kind: 'Shared', readOnly: false },
  scaleIO: { fsType: 'xfs', storageMode: 'ThinProvisioned' },
}

/** Fills in a volume of a pod, in place. */
export function defaultVolume(volume: Json): void {
  const sources = Object.keys(volume).filter((name) => name !== 'name')
  if (sources.length === 0) volume.emptyDir = {}
  for (const [kind, defaults] of Object.entries(sourceDefaults)) {
    const source = volume[kind]
    if (isObject(source)) volume[kind] = { ...defaults, ...source }
  }
  if (isObject(volume.image)) volume.image.pullPolicy ??= pullPolicy(volume.image.reference)
  if (isObject(volume.emptyDir) && volume.emptyDir.sizeLimit !== undefined) {
    volume.emptyDir.sizeLimit = canonicalQuantity(String(volume.emptyDir.sizeLimit))
  }
  defaultFiles(volume.downwardAPI)
  for (const source of objects(at(volume, 'projected', 'sources'))) {
    defaultFiles(source.downwardAPI)
    if (isObject(source.serviceAccountToken)) source.serviceAccountToken.expirationSeconds ??= 3600
  }
  const claim = at(volume, 'ephemeral', 'volumeClaimTemplate')
  if (!isObject(claim)) return
  ensureObject(claim, 'metadata')
  const spec = ensureObject(claim, 'spec')
  spec.volumeMode ??= 'Filesystem'
  roundResources(spec.resources)
}

function defaultFiles(source: unknown): void {
  for (const file of objects(at(source, 'items'))) {
    if (isObject(file.fieldRef)) file.fieldRef.apiVersion ??= 'v1'
    defaultDivisor(file)
  }
}

/** Always for an image without tag, or tagged latest; one with a digest is never latest. */
export function pullPolicy(image: unknown): string {
  const reference = String(image ?? '')
  if (reference.includes('@')) return 'IfNotPresent'
  const name = reference.slice(reference.lastIndexOf('/') + 1)
  return !name.includes(':') || name.endsWith(':latest') ? 'Always' : 'IfNotPresent'
}
