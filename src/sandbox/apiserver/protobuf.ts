import { isObject, type Json } from './json.ts'
import { protobufFields } from './protobuf-fields.ts'
import { badRequest } from './status.ts'

/** Go clients talk to built-in kinds in protobuf: kubectl create does. Answers are always JSON, which they accept. */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00])

interface Field {
  name: string
  type: string
  many: boolean
  map: boolean
}

/** Structs that Go embeds: on the wire a message, in JSON part of their parent. */
const inlined = new Set([
  'Volume.volumeSource',
  'Probe.handler',
  'EphemeralContainer.ephemeralContainerCommon',
  'ConfigMapKeySelector.localObjectReference',
  'SecretKeySelector.localObjectReference',
  'ConfigMapEnvSource.localObjectReference',
  'SecretEnvSource.localObjectReference',
  'ConfigMapVolumeSource.localObjectReference',
  'ConfigMapProjection.localObjectReference',
  'SecretProjection.localObjectReference',
])

/** Pointers to numbers and booleans in Go: their zero is a value. All other zeros mean "not set". */
const meaningfulZero = new Set([
  'replicas',
  'minReplicas',
  'revisionHistoryLimit',
  'progressDeadlineSeconds',
  'terminationGracePeriodSeconds',
  'gracePeriodSeconds',
  'tolerationSeconds',
  'runAsUser',
  'runAsGroup',
  'fsGroup',
  'automountServiceAccountToken',
  'enableServiceLinks',
  'runAsNonRoot',
  'privileged',
  'readOnlyRootFilesystem',
  'allowPrivilegeEscalation',
  'orphanDependents',
  'immutable',
  'leaseTransitions',
])

/** Reads an object in Kubernetes' protobuf envelope; throws a 400 for a kind or an encoding that is not known here. */
export function decodeProtobuf(body: Buffer): Json {
  if (!body.subarray(0, 4).equals(magic)) throw badRequest('the body is not protobuf as Kubernetes writes it')
  let apiVersion = ''
  let kind = ''
  let raw: Buffer = Buffer.alloc(0)
  for (const { number, bytes } of wireFields(body.subarray(4))) {
    if (number === 1 && bytes) {
      for (const type of wireFields(bytes)) {
        if (type.number === 1) apiVersion = type.bytes?.toString('utf8') ?? ''
        if (type.number === 2) kind = type.bytes?.toString('utf8') ?? ''
      }
    }
    if (number === 2 && bytes) raw = bytes
  }
  if (!(kind in protobufFields)) throw badRequest(`no protobuf decoder for ${apiVersion}, Kind=${kind}: send JSON`)
  return { apiVersion, kind, ...message(raw, kind) }
}

interface WireField {
  number: number
  varint?: bigint
  bytes?: Buffer
}

function* wireFields(buffer: Buffer): Generator<WireField> {
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at++]
      if (byte === undefined || shift > 63n) throw badRequest('the protobuf body ends in the middle of a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < buffer.length) {
    const tag = Number(varint())
    const number = tag >> 3
    const wire = tag & 7
    if (wire === 0) yield { number, varint: BigInt.asIntN(64, varint()) }
    else if (wire === 2 || wire === 1 || wire === 5) {
      const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : 4
      if (at + length > buffer.length) throw badRequest('the protobuf body ends in the middle of a field')
      yield { number, bytes: buffer.subarray(at, at + length) }
      at += length
    } else throw badRequest(`the protobuf body has an unknown wire type ${wire}`)
  }
}

function fieldsOf(type: string): Map<number, Field> {
  const fields = new Map<number, Field>()
  for (const entry of (protobufFields[type] ?? '').split(', ')) {
    const [number, name = '', written = ''] = entry.split(' ')
    const [many, map] = [written.endsWith('[]'), written.endsWith('{}')]
    fields.set(Number(number), { name, type: many || map ? written.slice(0, -2) : written, many, map })
  }
  return fields
}

function message(buffer: Buffer, type: string): Json {
  const fields = fieldsOf(type)
  const result: Json = {}
  for (const wire of wireFields(buffer)) {
    const field = fields.get(wire.number)
    if (!field) continue
    if (field.map) addEntry(result, field, wire)
    else {
      const value = decoded(field.type, wire)
      if (field.many) {
        const list = result[field.name]
        if (Array.isArray(list)) list.push(value)
        else result[field.name] = [value]
      } else if (inlined.has(`${type}.${field.name}`) && isObject(value)) Object.assign(result, value)
      else if (isSet(field.name, value)) result[field.name] = value
    }
  }
  return result
}

function isSet(name: string, value: unknown): boolean {
  if (value === undefined || value === '') return false
  return (value !== 0 && value !== false) || meaningfulZero.has(name)
}

function addEntry(result: Json, field: Field, wire: WireField): void {
  const entries = result[field.name]
  const map: Json = isObject(entries) ? entries : {}
  let key = ''
  let value: unknown = ''
  for (const part of wireFields(wire.bytes ?? Buffer.alloc(0))) {
    if (part.number === 1) key = part.bytes?.toString('utf8') ?? ''
    if (part.number === 2) value = decoded(field.type, part)
  }
  map[key] = value
  result[field.name] = map
}

function decoded(type: string, { varint, bytes = Buffer.alloc(0) }: WireField): unknown {
  switch (type) {
    case 'string':
      return bytes.toString('utf8')
    case 'bytes':
      return bytes.toString('base64')
    case 'bool':
      return varint !== 0n
    case 'int32':
    case 'int64':
    case 'uint32':
      return Number(varint ?? 0n)
    case 'Quantity':
      return [...wireFields(bytes)].find(({ number }) => number === 1)?.bytes?.toString('utf8') ?? ''
    case 'IntOrString':
      return intOrString(bytes)
    case 'Time':
    case 'MicroTime':
      return time(bytes, type === 'MicroTime')
    case 'FieldsV1':
    case 'RawExtension':
      return JSON.parse([...wireFields(bytes)][0]?.bytes?.toString('utf8') || 'null')
    default:
      return message(bytes, type)
  }
}

function intOrString(bytes: Buffer): unknown {
  const parts = new Map([...wireFields(bytes)].map((wire) => [wire.number, wire]))
  return parts.get(1)?.varint === 1n
    ? (parts.get(3)?.bytes?.toString('utf8') ?? '')
    : Number(parts.get(2)?.varint ?? 0n)
}

/** An unset time is an empty message. */
function time(bytes: Buffer, micro: boolean): string | undefined {
  const parts = new Map([...wireFields(bytes)].map((wire) => [wire.number, wire.varint ?? 0n]))
  const seconds = parts.get(1)
  if (seconds === undefined || seconds === 0n) return undefined
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return micro ? `${text}.${String((parts.get(2) ?? 0n) / 1000n).padStart(6, '0')}Z` : `${text}Z`
}
