import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** The house's floors: which room may import from which (DESIGN section 4). A room is named by the longest matching entry. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: ['lib'],
  http: ['model', 'lib'],
  db: ['model', 'lib'],
  bus: ['model', 'lib'],
  clients: ['model', 'lib'],
  hypervisors: ['model', 'lib'],
  services: ['http', 'db', 'bus', 'clients', 'model', 'lib', 'hypervisors/driver.ts'],
  cloud: ['services', 'http', 'db', 'bus', 'clients', 'hypervisors', 'model', 'lib'],
  cli: ['cloud', 'clients', 'model', 'lib'],
};
/** Which services have a database, and whose tables they may ask. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  'compute-api': ['compute', 'placement'],
  conductor: ['compute', 'placement'],
  scheduler: ['compute', 'placement'],
  placement: ['compute', 'placement'],
  metadata: ['compute'],
  identity: ['identity'],
  image: ['image'],
  network: ['network'],
  volume: ['volume'],
  'compute-agent': [],
  'console-proxy': [],
};

interface Import {
  readonly file: string;
  readonly to: string;
  readonly typeOnly: boolean;
}
function importsOf(file: string): Import[] {
  const source = readFileSync(join('src', file), 'utf8');
  return [...source.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^'";]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/g)].map(
    ([, typeOnly, still, lazy]) => ({
      file,
      to: normalize(join(dirname(file), still ?? lazy ?? '')),
      typeOnly: typeOnly !== undefined,
    }),
  );
}
const files = globSync('**/*.ts', { cwd: 'src' }).filter((file) => !file.endsWith('.test.ts'));
const room = (path: string) => path.split('/')[0] ?? '';

test('imports go down the floors only, and never from one service to another', () => {
  const trespasses: string[] = [];
  for (const { file, to } of files.flatMap(importsOf)) {
    const [from, target] = [room(file), room(to)];
    if (to.startsWith('..')) continue;
    if (from === target) {
      if (from === 'services' && file.split('/')[1] !== to.split('/')[1]) trespasses.push(`${file} may not import another service's ${to}`);
      if (from === 'hypervisors' && file.split('/').length > 2 && to.split('/').length > 2 && file.split('/')[1] !== to.split('/')[1])
        trespasses.push(`${file} may not import another driver's ${to}`);
      continue;
    }
    const allowed = MAY_IMPORT[from];
    assert.ok(allowed, `${file} stands in a room the house does not have`);
    if (!allowed.some((place) => place === target || to === place)) trespasses.push(`${file} may not import from ${to}`);
  }
  assert.deepEqual(trespasses, []);
});

test('each service asks only its own tables; agent, hypervisors and console proxy have none', () => {
  const trespasses: string[] = [];
  for (const { file, to, typeOnly } of files.flatMap(importsOf)) {
    const service = /^services\/([^/]+)\//.exec(file)?.[1];
    if (!service || !to.startsWith('db/')) continue;
    const tables = /^db\/tables\/([^/]+)\//.exec(to)?.[1];
    const own = TABLES[service];
    assert.ok(own, `${file}: the test does not know the service ${service}`);
    if (own.length === 0 && !typeOnly) trespasses.push(`${file} has no database, but imports ${to}`);
    if (tables && !own.includes(tables)) trespasses.push(`${file} may not ask ${tables}'s tables (${to})`);
  }
  assert.deepEqual(trespasses, []);
});

test('the model stays free of Node, so that a dashboard can import it', () => {
  const users = files.filter((file) => file.startsWith('model/') && /from 'node:/.test(readFileSync(join('src', file), 'utf8')));
  assert.deepEqual(users, []);
});

test('inside a transaction only the transaction is awaited', () => {
  const trespasses: string[] = [];
  for (const file of files) {
    const source = readFileSync(join('src', file), 'utf8');
    for (const found of source.matchAll(/\.transaction\(\s*async \((\w+)\) => \{/g)) {
      const tx = found[1] ?? 'tx';
      let depth = 1;
      let at = (found.index ?? 0) + found[0].length;
      const start = at;
      for (; at < source.length && depth > 0; at++) depth += source[at] === '{' ? 1 : source[at] === '}' ? -1 : 0;
      for (const wait of source.slice(start, at).matchAll(/\bawait\s+([^;]{0,200})/g)) {
        if (!new RegExp(`\\b${tx}\\b`).test(wait[1] ?? ''))
          trespasses.push(`${file}: awaits "${wait[1]?.split('\n')[0]}" inside a transaction`);
      }
    }
  }
  assert.deepEqual(trespasses, []);
});

test('time is an argument: services never ask the machine for it', () => {
  const users = files.filter(
    (file) => /^(services|model|http)\//.test(file) && /\bDate\.now\(|new Date\(\)/.test(readFileSync(join('src', file), 'utf8')),
  );
  assert.deepEqual(users, []);
});

test('nothing of the machine it was written on is in the project', () => {
  const places = globSync(['src/**/*.ts', 'test/**/*.ts', 'docs/**/*.md', '*.md', '.ci/*', 'kilonova']).filter(
    (file) => !file.endsWith('floors.test.ts'),
  );
  assert.deepEqual(
    places.filter((file) => /\/work\/|\/farm\//.test(readFileSync(file, 'utf8'))),
    [],
  );
});
