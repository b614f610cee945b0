import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSecret } from '../lib/ids.ts';
import { writeFileWhole } from '../lib/write-file.ts';

/** Secrets of one cloud, made at its first start and kept in `DIR/secrets.json` (0600). */
export interface Secrets {
  readonly adminPassword: string;
  readonly demoPassword: string;
  readonly servicePassword: string;
  readonly metadataSecret: string;
}

const names = ['adminPassword', 'demoPassword', 'servicePassword', 'metadataSecret'] as const;

/** Reads the secrets, making those that are not there yet. Throws an Error that names the file when it is damaged. */
export function keepSecrets(dataDir: string): Secrets {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'secrets.json');
  const kept = existsSync(path) ? readSecrets(path) : {};
  const secrets = Object.fromEntries(names.map((name) => [name, kept[name] ?? newSecret()])) as Record<(typeof names)[number], string>;
  if (names.some((name) => kept[name] === undefined)) writeFileWhole(path, `${JSON.stringify(secrets, null, 2)}\n`);
  chmodSync(path, 0o600);
  return secrets;
}

function readSecrets(path: string): Partial<Record<string, string>> {
  let cause: unknown;
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (value !== null && typeof value === 'object' && !Array.isArray(value) && Object.values(value).every(isSecret))
      return value as Partial<Record<string, string>>; // just looked at
  } catch (reason) {
    cause = reason;
  }
  throw new Error(`${path} is damaged; restore it from a copy, or remove the data dir to begin a new cloud.`, { cause });
}

const isSecret = (value: unknown) => typeof value === 'string' && value !== '';
