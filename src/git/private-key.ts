/** An SSH private key as a Secret has it: ready for use, or what is wrong with it, in words that follow its place. */
export type PrivateKey = { ok: true; key: string } | { ok: false; fault: 'is no SSH private key' | 'has a passphrase' }

/** Reads a key in the format of OpenSSH, PKCS#1 or PKCS#8. One with a passphrase is of no use: nobody is there to type it. */
export function readPrivateKey(text: string): PrivateKey {
  const lines = text.replace(/\r\n?/g, '\n').trim()
  const armour = /^-----BEGIN ([A-Z ]*)PRIVATE KEY-----\n([\s\S]+)\n-----END \1PRIVATE KEY-----$/.exec(lines)
  if (!armour) return { ok: false, fault: 'is no SSH private key' }
  if (isEncrypted(armour[1]!.trim(), armour[2]!)) return { ok: false, fault: 'has a passphrase' }
  return { ok: true, key: `${lines}\n` }
}

/** https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key: magic, cipher name, … */
function isEncrypted(kind: string, body: string): boolean {
  if (kind !== 'OPENSSH') return kind === 'ENCRYPTED' || /^Proc-Type:.*ENCRYPTED/m.test(body)
  const bytes = Buffer.from(body, 'base64')
  const magic = 'openssh-key-v1\0'
  if (bytes.length < magic.length + 4 || bytes.toString('latin1', 0, magic.length) !== magic) return false
  const length = bytes.readUInt32BE(magic.length)
  return bytes.toString('latin1', magic.length + 4, magic.length + 4 + length) !== 'none'
}
