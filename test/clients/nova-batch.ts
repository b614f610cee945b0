import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type House, waitFor } from '../house/running.ts';
import { findProgram } from '../requires.ts';

/** The client's own entry point, asked again and again in one process: starting it costs more than what it does. */
const LOOP = `
import contextlib, io, json, sys
from novaclient import shell
for line in sys.stdin:
    words = json.loads(line)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.OpenStackComputeShell().main(words) or 0
        except SystemExit as end:
            code = end.code or 0
        except Exception as why:
            code = 1
            err.write(str(why))
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
`;
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
/** The words that openrc (or openrc-demo) exports. */
export function rcWords(house: House, rc: string): Record<string, string> {
  const text = readFileSync(join(house.dataDir, rc), 'utf8');
  return Object.fromEntries([...text.matchAll(/^export (\w+)='?([^'\n]*)'?$/gm)].map(([, name, value]) => [name, value]));
}

/** A process that runs commands of Debian's \`nova\`, with the words of an openrc and nothing else of the environment. */
export function openNova(house: House, rc: string) {
  const python = /^#!\s*(\S+)/.exec(readFileSync(findProgram('nova') ?? '', 'utf8'))?.[1] ?? 'python3';
  const child = spawn(python, ['-W', 'ignore', '-c', LOOP], {
    env: { PATH: process.env.PATH ?? '', HOME: house.dataDir, LANG: 'C.UTF-8', ...rcWords(house, rc) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  /** Commands that were run, by their names. */
  const used = new Set<string>();
  const say = async (words: readonly string[]): Promise<Said> => {
    used.add(words.find((word, at) => !word.startsWith('-') && words[at - 1] !== '--os-compute-api-version') ?? '');
    child.stdin.write(`${JSON.stringify(words)}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`nova ended at ${words.join(' ')}`);
    const [code, out, err] = JSON.parse(value) as [number, string, string];
    return { code, out, err };
  };
  return {
    used,
    say,
    /** What it prints; fails unless it ends with 0. */
    async ok(...words: string[]): Promise<string> {
      const said = await say(words);
      assert.equal(said.code, 0, `nova ${words.join(' ')}: ${said.err}`);
      return said.out;
    },
    /** What it says when it refuses. */
    async no(why: RegExp, ...words: string[]): Promise<void> {
      const said = await say(words);
      assert.notEqual(said.code, 0, `nova ${words.join(' ')} did not fail: ${said.out}`);
      assert.match(said.err + said.out, why, `nova ${words.join(' ')}`);
    },
    /** Asks until what is printed fits. */
    async until(what: RegExp, ...words: string[]): Promise<string> {
      let last: Said = { code: 0, out: '', err: '' };
      await waitFor(
        async () => {
          last = await say(words);
          return what.test(last.out);
        },
        60_000,
        () => `nova ${words.join(' ')} never says ${what}: ${last.out}${last.err}`,
        100,
      );
      return last.out;
    },
    close: () => child.stdin.end(),
  };
}
/** The value beside a word in a table that nova prints: `| status | ACTIVE |`. */
export function cell(table: string, word: string): string {
  const row = table.split('\n').find((line) => line.split('|')[1]?.trim() === word);
  return row?.split('|')[2]?.trim() ?? '';
}
/** The rows of a table with a head, by column. */
export function tableOf(text: string): Record<string, string>[] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((part) => part.trim());
  const [head = [], ...rest] = lines.map(cells);
  return rest.map((row) => Object.fromEntries(head.map((name, at) => [name, row[at] ?? ''])));
}
