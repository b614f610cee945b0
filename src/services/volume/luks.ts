import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Query } from '../../db/engine.ts';
import type { VolumeKeysTable, VolumeTypeEncryptionsTable } from '../../db/tables/volume/tables.ts';
import { newUuid } from '../../lib/ids.ts';
import { volumeEncryptionInvalid } from '../../model/errors-volume.ts';

/** How a volume is encrypted, and by what. The secret is never logged, shown or passed on a command line. */
export interface Lock {
  readonly secret: string;
  /** In the words of qemu-img. */
  readonly words: string;
}
/** Names Cinder and Nova have had for what QEMU calls luks. */
const PROVIDERS = ['luks', 'LuksEncryptor', 'cinder.volume.encryptors.luks.LuksEncryptor', 'nova.volume.encryptors.luks.LuksEncryptor'];
const USUAL = { cipher: 'aes-xts-plain64', keySize: 256 } as const;
const MODES = ['xts', 'cbc', 'ecb', 'ctr'];
const IVS = ['plain', 'plain64', 'essiv'];
const ALGORITHMS: Readonly<Record<string, readonly number[]>> = {
  aes: [128, 192, 256],
  serpent: [128, 192, 256],
  twofish: [128, 192, 256],
  cast5: [128],
};
/** A key of 256 random bits needs no slow derivation: this many milliseconds of it, where a passphrase gets two thousand. */
const DERIVATION_MS = 10;
/** Where a LUKS header says, in sectors of 512 bytes, at which its data begin. */
const PAYLOAD_AT = 104;

/** Throws volumeEncryptionInvalid (400) for what QEMU's LUKS cannot do. */
export function checkEncryption(wish: {
  readonly provider: string;
  readonly cipher: string | null;
  readonly keySize: number | null;
  readonly location: string;
}) {
  const { provider, location } = wish;
  if (location !== 'front-end')
    throw volumeEncryptionInvalid({ why: `control_location ${location}: volumes are encrypted where guests run, front-end` });
  if (!PROVIDERS.includes(provider))
    throw volumeEncryptionInvalid({
      why: `provider ${provider} is not served: luks is (QEMU, which reads and writes these volumes, knows its first version only)`,
    });
  lockWords(wish.cipher ?? USUAL.cipher, wish.keySize ?? USUAL.keySize);
}

/** `aes-xts-plain64` and a size of keys as qemu-img wants them. Throws volumeEncryptionInvalid (400). */
function lockWords(cipher: string, keySize: number): string {
  const [algorithm = '', mode = '', iv = ''] = cipher.split('-');
  const [generator = '', hash] = iv.split(':');
  const wrong = (why: string) => volumeEncryptionInvalid({ why: `cipher ${cipher}: ${why}` });
  if (!ALGORITHMS[algorithm]) throw wrong(`${algorithm} is not one of ${Object.keys(ALGORITHMS).join(', ')}`);
  if (!MODES.includes(mode)) throw wrong(`mode ${mode} is not one of ${MODES.join(', ')}`);
  if (!IVS.includes(generator)) throw wrong(`${generator} is not one of ${IVS.join(', ')}`);
  if ((generator === 'essiv') !== (hash !== undefined) || (hash !== undefined && !/^sha(1|256|512)$/.test(hash)))
    throw wrong('essiv, and only that, names a hash: essiv:sha256');
  if (!ALGORITHMS[algorithm].includes(keySize))
    throw volumeEncryptionInvalid({ why: `key_size ${keySize} is not one of ${ALGORITHMS[algorithm].join(', ')}` });
  return [
    `cipher-alg=${algorithm}-${keySize}`,
    `cipher-mode=${mode}`,
    `ivgen-alg=${generator}`,
    ...(hash ? [`ivgen-hash-alg=${hash}`] : []),
    `iter-time=${DERIVATION_MS}`,
  ].join(',');
}

/** A key for a new volume of such a type; of one that is a copy, the key of what it copies. Answers its id. */
export async function makeKey(
  tx: Query,
  type: VolumeTypeEncryptionsTable,
  copied: VolumeKeysTable | undefined,
  now: number,
): Promise<string> {
  const own: VolumeKeysTable = {
    uuid: newUuid(),
    provider: copied?.provider ?? type.provider,
    cipher: copied?.cipher ?? type.cipher ?? USUAL.cipher,
    key_size: copied?.key_size ?? type.key_size ?? USUAL.keySize,
    secret: copied?.secret ?? randomBytes(32).toString('hex'),
    created_at: now,
  };
  await tx.insertInto('volume_keys').values(own).execute();
  return own.uuid;
}
export const findKey = (db: Query, uuid: string | null): Promise<VolumeKeysTable | undefined> =>
  uuid === null ? Promise.resolve(undefined) : db.selectFrom('volume_keys').selectAll().where('uuid', '=', uuid).executeTakeFirst();
export const findEncryption = (db: Query, typeUuid: string): Promise<VolumeTypeEncryptionsTable | undefined> =>
  db.selectFrom('volume_type_encryptions').selectAll().where('type_uuid', '=', typeUuid).executeTakeFirst();

/** What locks a volume; undefined for a plain one. */
export async function lockOf(db: Query, keyId: string | null): Promise<Lock | undefined> {
  const key = await findKey(db, keyId);
  return key && { secret: key.secret, words: lockWords(key.cipher, key.key_size) };
}

/** How many bytes come before the data in a LUKS file. */
export async function headerBytes(file: string): Promise<number> {
  const handle = await open(file, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, PAYLOAD_AT);
    return buffer.readUInt32BE(0) * 512;
  } finally {
    await handle.close();
  }
}
