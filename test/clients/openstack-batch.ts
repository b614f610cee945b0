import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { House } from '../house/running.ts';
import { rcWords } from './nova-batch.ts';

// biome-ignore lint/suspicious/noExplicitAny: what the client prints, of every form
type Any = any;

/** Runs commands in one \`openstack\` process, which reads them from its input; answers what each that prints JSON printed, in order. */
export async function openstackBatch(
  house: House,
  commands: readonly string[],
  more: { rc?: string; at?: string } = {},
): Promise<{ values: Any[]; out: string; err: string }> {
  const child = spawn('openstack', more.at === undefined ? [] : ['--os-compute-api-version', more.at], {
    env: { PATH: process.env.PATH ?? '', HOME: house.dataDir, LANG: 'C.UTF-8', ...rcWords(house, more.rc ?? 'openrc-demo') },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.stdin.end(`${commands.join('\n')}\n`);
  await closed;
  // The client's own warnings say nothing of us.
  err = err
    .split('\n')
    .filter((line) => line.trim() !== '' && !/Warning|deprecat|warn\(/i.test(line))
    .join('\n');
  return { values: valuesIn(out), out, err };
}
/** The same, where nothing may be complained of. */
export async function openstackGood(house: House, commands: readonly string[], more: { rc?: string; at?: string } = {}): Promise<Any[]> {
  const { values, err } = await openstackBatch(house, commands, more);
  assert.equal(err, '', commands.join('\n'));
  return values;
}

/** JSON values that follow one another, each beginning at the start of a line. */
function valuesIn(text: string): Any[] {
  const values: Any[] = [];
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    if (lines.length === 0 && !/^[[{]/.test(line)) continue;
    lines.push(line);
    if (!/^[\]}]|^(\[\]|\{\})$/.test(line)) continue;
    try {
      values.push(JSON.parse(lines.join('\n')));
      lines = [];
    } catch {
      // it goes on
    }
  }
  return values;
}
