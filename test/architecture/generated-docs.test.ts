import assert from 'node:assert/strict';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { computeAgentContract } from '../../src/bus/contracts/compute-agent.ts';
import { conductorContract } from '../../src/bus/contracts/conductor.ts';
import { schedulerContract } from '../../src/bus/contracts/scheduler.ts';
import { options } from '../../src/cloud/options.ts';
import { microversions } from '../../src/services/compute-api/microversions.ts';

const ROOT = join(import.meta.dirname, '../..');
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`)].join('\n');

const pages: Readonly<Record<string, () => string>> = {
  'config.md': () =>
    `# Options of nova.conf that Kilonova reads\n\nMade from \`src/cloud/options.ts\`. Older names are taken with a warning.\n\n${table(
      ['section', 'option', 'kind', 'default', 'what it does', 'older names'],
      Object.values(options).map((option) => [
        option.section,
        `\`${option.name}\``,
        option.kind + ('min' in option ? ` from ${option.min}` : ''),
        option.default === null ? '' : `\`${Array.isArray(option.default) ? option.default.join(', ') : String(option.default)}\``,
        option.help,
        'was' in option ? option.was.map(([section, name]) => `[${section}] ${name}`).join(', ') : '',
      ]),
    )}\n`,
  'microversions.md': () =>
    `# Microversions of the compute API\n\nMade from \`src/services/compute-api/microversions.ts\`.\n\n${table(
      ['version', 'what it brought'],
      Object.entries(microversions).map(([version, sentence]) => [version, sentence]),
    )}\n`,
  'messages.md': () =>
    `# Messages between the parts\n\nMade from \`src/bus/contracts/\`. A changed wire form shows here in review.\n\n${[
      conductorContract,
      schedulerContract,
      computeAgentContract,
    ]
      .map(
        (contract) =>
          `## ${contract.receiver}\n\n${Object.entries(contract.messages)
            .map(
              ([name, message]) =>
                `### ${name} (${message.kind})\n\n\`\`\`json\n${JSON.stringify('output' in message ? { input: message.input, output: message.output } : { input: message.input }, null, 1)}\n\`\`\``,
            )
            .join('\n\n')}`,
      )
      .join('\n\n')}\n`,
  'errors.md': () =>
    `# Errors a caller may see\n\nMade from the catalogue in \`src/model/errors*.ts\`. The kind decides the HTTP status.\n\n${table(
      ['code', 'kind', 'where'],
      globSync('src/model/errors*.ts', { cwd: ROOT })
        .sort()
        .flatMap((file) =>
          [...readFileSync(join(ROOT, file), 'utf8').matchAll(/row<[\s\S]*?>\(\s*'([^']+)',\s*'([^']+)'/g)].map(
            ([, code = '', kind = '']) => [`\`${code}\``, kind, file],
          ),
        ),
    )}\n`,
};

for (const [name, make] of Object.entries(pages)) {
  test(`docs/generated/${name} is what its source says`, () => {
    const path = join(ROOT, 'docs/generated', name);
    const text = make();
    if (process.env.GOLDEN === 'write') {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    assert.equal(readFileSync(path, 'utf8'), text, 'run: npm run golden');
  });
}

test('each code of the catalogue is used once', () => {
  const codes = [...pages['errors.md']!().matchAll(/^\| `([^`]+)`/gm)].map(([, code]) => code);
  assert.ok(codes.length > 50);
  assert.deepEqual(
    codes.filter((code, at) => codes.indexOf(code) !== at),
    [],
  );
});
