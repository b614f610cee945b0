import { resolve } from 'node:path';
import { buildTiny } from '../cloud/tiny.ts';

export async function buildTinyCommand(flags: { out: string; install: boolean }): Promise<number> {
  const say = (line: string) => process.stderr.write(`kilonova: ${line}\n`);
  const built = await buildTiny({ outDir: resolve(flags.out), install: flags.install, say });
  if (!built) return 1;
  process.stdout.write(`${JSON.stringify(built, null, 2)}\n`);
  return 0;
}
