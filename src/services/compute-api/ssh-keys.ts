import { createHash, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { keypairInvalid } from '../../model/errors-compute-api.ts';

const generate = promisify(generateKeyPair);
/** Loaded with the first key: a cloud starts without it. */
const loadSshpk = async () => (await import('sshpk')).default;
const RSA_BITS = 2048;
const pairs = (hex: string) => (hex.match(/../g) ?? []).join(':');

/** A fresh RSA pair: the public half as a line of authorized_keys, the private one as PEM (PKCS #1), as Nova made them up to 2.91. */
export async function makeSshKey(): Promise<{ publicKey: string; privateKey: string; fingerprint: string }> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const key = (await loadSshpk()).parseKey(publicKey, 'pem');
  key.comment = 'Generated-by-Nova';
  const line = key.toString('ssh');
  return { publicKey: line, privateKey, fingerprint: await sshFingerprint(line) };
}

/** MD5 over the key's blob, in pairs with colons: how Nova shows SSH keys.  Throws keypairInvalid (400) for what is no SSH public key. */
export async function sshFingerprint(publicKey: string): Promise<string> {
  const line = publicKey.trim();
  const blob = line.split(/\s+/)[1];
  if (line.includes('\n') || blob === undefined) throw keypairInvalid({ why: 'failed to generate fingerprint' });
  try {
    if (line.startsWith('sk-')) mustHoldStrings(line.split(' ', 1)[0] ?? '', Buffer.from(blob, 'base64'));
    else (await loadSshpk()).parseKey(line, 'ssh');
  } catch (cause) {
    throw keypairInvalid({ why: 'failed to generate fingerprint' }, { cause });
  }
  return pairs(createHash('md5').update(Buffer.from(blob, 'base64')).digest('hex'));
}

const FIDO = ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'];
/** Keys of FIDO tokens, which the library does not know: their blob is a row of strings, the first one the type.  Spec: OpenSSH PROTOCOL.u2f. */
function mustHoldStrings(type: string, blob: Buffer): void {
  let at = 0;
  let strings = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) throw new Error('a length is cut off');
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) throw new Error('a string is cut off');
    if (strings === 0 && blob.toString('latin1', at + 4, end) !== type) throw new Error('the blob is of another type');
    at = end;
    strings++;
  }
  if (!FIDO.includes(type) || strings < 3) throw new Error('it is no FIDO key');
}
