import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

// 2^13 x 8 x 128 bytes = 8 MiB and about 20 ms: a login is asked for by every run of a command-line client, and the cloud starts by making three.
const LOG_N = 13;
const R = 8;
const P = 1;
const LENGTH = 32;

const derive = (secret: string, salt: Buffer, logN: number, r: number, p: number) =>
  new Promise<Buffer>((resolve, reject) => {
    const options: ScryptOptions = { N: 2 ** logN, r, p, maxmem: 256 * 2 ** logN * r };
    scrypt(secret.normalize('NFC'), salt, LENGTH, options, (cause, key) => (cause ? reject(cause) : resolve(key)));
  });

/** A secret as it may be stored: `scrypt$logN$r$p$salt$key`, the last two in base64url. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(secret, salt, LOG_N, R, P);
  return ['scrypt', LOG_N, R, P, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Whether the secret is the one that was stored. The same work is done when nothing is stored, so that time does not tell who exists. */
export async function isSecret(secret: string, stored: string | null | undefined): Promise<boolean> {
  const [kind, logN, r, p, salt, key] = (stored ?? '').split('$');
  const known = kind === 'scrypt' && salt !== undefined && key !== undefined;
  const derived = known
    ? await derive(secret, Buffer.from(salt, 'base64url'), Number(logN), Number(r), Number(p))
    : await derive(secret, randomBytes(16), LOG_N, R, P);
  const expected = known ? Buffer.from(key, 'base64url') : randomBytes(LENGTH);
  return known && expected.length === derived.length && timingSafeEqual(expected, derived);
}
