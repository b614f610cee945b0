import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What tokens are signed with and checked by. ES256. */
export interface TokenKeys {
  /** SHA-256 of the public key in hex: the `kid` of its tokens. */
  readonly id: string;
  readonly sign: KeyObject;
  readonly verify: KeyObject;
}

/** Reads the key file (PEM, mode 0600), making it when there is none; two processes that start at once get the same key.
 *  Throws an Error that names the file when it cannot be read or written. */
export function openTokenKeys(path: string): TokenKeys {
  for (;;) {
    const kept = read(path);
    if (kept !== undefined) return parse(path, kept);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(file, makeTokenKeys().sign.export({ type: 'pkcs8', format: 'pem' }) as string);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    try {
      linkSync(temporary, path); // unlike rename, it leaves a key alone that another process has put there meanwhile
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    } finally {
      rmSync(temporary, { force: true });
    }
  }
}

/** Keys that live as long as the process. */
export function makeTokenKeys(): TokenKeys {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return keysOf(pair.privateKey);
}

function keysOf(sign: KeyObject): TokenKeys {
  const verify = createPublicKey(sign);
  const id = createHash('sha256')
    .update(verify.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return { id, sign, verify };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

function parse(path: string, text: string): TokenKeys {
  try {
    return keysOf(createPrivateKey(text));
  } catch (cause) {
    throw new Error(`${path} holds no key that tokens can be signed with. Remove it and every token issued before becomes invalid.`, {
      cause,
    });
  }
}
