import { createHash, createHmac, type KeyObject, randomBytes } from 'node:crypto';

// A PKCS #12 file is a nest of DER values; these few words of DER are all that it takes.  Spec: X.690, RFC 7292.
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.length);
  const bytes = size.subarray(size.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, content]);
}
const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const setOf = (...parts: readonly Buffer[]) => der(0x31, ...parts);
const octets = (bytes: Buffer) => der(0x04, bytes);
const explicit = (bytes: Buffer) => der(0xa0, bytes);
const whole = (value: number) => der(0x02, Buffer.from(value < 128 ? [value] : [value >> 8, value & 0xff]));
const oid = (...numbers: readonly number[]) => {
  const [first = 0, second = 0, ...rest] = numbers;
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
};

const PKCS = [1, 2, 840, 113549, 1] as const;
const DATA = oid(...PKCS, 7, 1);
const SHROUDED_KEY = oid(...PKCS, 12, 10, 1, 2);
const CERTIFICATE_BAG = oid(...PKCS, 12, 10, 1, 3);
const X509 = oid(...PKCS, 9, 22, 1);
const LOCAL_KEY_ID = oid(...PKCS, 9, 21);
const SHA256 = oid(2, 16, 840, 1, 101, 3, 4, 2, 1);
const NOTHING = der(0x05);
const ITERATIONS = 2048;

const data = (content: Buffer) => sequence(DATA, explicit(octets(content)));

/** The key of the file's MAC out of the empty password.  Spec: RFC 7292, appendix B, with SHA-256 and purpose 3. */
function macKey(salt: Buffer): Buffer {
  const block = 64;
  const repeated = Buffer.alloc(block, salt);
  const password = Buffer.alloc(block); // the empty text is two zero bytes, over and over
  let key = Buffer.concat([Buffer.alloc(block, 3), repeated, password]);
  for (let turn = 0; turn < ITERATIONS; turn++) key = createHash('sha256').update(key).digest();
  return key;
}

/** A PKCS #12 file (PFX) with a private key and its certificate (DER), protected by the empty password. */
export function pkcs12(key: KeyObject, certificate: Buffer): Buffer {
  const id = setOf(sequence(LOCAL_KEY_ID, setOf(octets(createHash('sha1').update(certificate).digest()))));
  const shrouded = key.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: '' });
  const contents = sequence(
    data(sequence(sequence(CERTIFICATE_BAG, explicit(sequence(X509, explicit(octets(certificate)))), id))),
    data(sequence(sequence(SHROUDED_KEY, explicit(shrouded), id))),
  );
  const salt = randomBytes(8);
  const mac = createHmac('sha256', macKey(salt)).update(contents).digest();
  return sequence(whole(3), data(contents), sequence(sequence(sequence(SHA256, NOTHING), octets(mac)), octets(salt), whole(ITERATIONS)));
}
