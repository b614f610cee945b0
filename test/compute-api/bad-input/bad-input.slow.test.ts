import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { askSpoilt } from './ask-spoilt.ts';
import { ALIAS, cases, findings, isNot, minor, NEWEST, pathFor, rowOf, served } from './cases.ts';
import { rows } from './rows.ts';
import { spoilt } from './spoil.ts';
import { type Answer, openWorld, SECRET, type World } from './world.ts';

const PATIENCE = { timeout: 300_000 };
let world: World;
before(async () => {
  world = await openWorld();
}, PATIENCE);
after(() => world.close());

test('every served operation has a row, and every row is of an operation', () => {
  assert.deepEqual(
    served.filter(([key]) => !rowOf(key)).map(([key]) => key),
    [],
  );
  const known = new Set(served.map(([key]) => key));
  assert.deepEqual(
    Object.keys(rows).filter((key) => !known.has(key)),
    [],
  );
  const bodied = served.filter(([key, route]) => route.body && rowOf(key)?.body === undefined).map(([key]) => key);
  assert.deepEqual(bodied, [], 'a body belongs to each of these');
});

test('nobody is let in, and nobody by the path of another project', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    if (one.key === 'GET /') continue;
    const path = pathFor(world, one);
    const body = world.filled(one.row.body);
    await found.ask('without a token', `${one.method} ${path}`, { as: 'nobody', at: one.at, body }, (answer) => isNot(401, answer));
    await found.ask(
      'by another project',
      `${one.method} /${world.own.adminProject}${path}`,
      { at: one.at, body },
      (answer) => isNot(400, answer) || (!/project_id/.test(answer.message) && 'says nothing of the project'),
    );
  }
  found.none(400);
});

/** Fields that take any value and objects that take any key: Nova's schemas are open there. Everything else is closed. */
const BARE_WORDS =
  'confirmResize forceDelete injectNetworkInfo os-start os-stop pause restore resume revertResize shelve shelveOffload suspend unlock unpause unrescue';
const ANYTHING_GOES = [
  ...BARE_WORDS.split(' ').map((word) => `POST /servers/:id/action#${word} ${word}: any value`),
  'POST /servers os:scheduler_hints: other keys',
  'POST /servers server.block_device_mapping.0.no_device: any value',
  'POST /servers server.block_device_mapping_v2.0.no_device: any value',
  ...['add', 'remove'].map((deed) => `POST /servers/:id/action#${deed}SecurityGroup the body: other keys`),
  ...['cidr', 'from_port', 'ip_protocol', 'to_port'].map(
    (field) => `POST /os-security-group-rules security_group_rule.${field}: any value`,
  ),
  ...['security_group_rule', 'the body'].map((place) => `POST /os-security-group-rules ${place}: other keys`),
  ...['POST /os-security-groups', 'PUT /os-security-groups/:id'].flatMap((key) => [
    `${key} security_group: other keys`,
    `${key} the body: other keys`,
  ]),
  'POST /os-floating-ips the body: other keys',
  'POST /os-volumes volume.metadata: other keys', // of texts
];
/** The slow suite asks all of them, at every version at which a body changes. */
const SHARE = 6;
test('fields of the wrong type, of a wrong value, missing, or unknown', PATIENCE, async () => {
  const open = new Set<string>();
  const found = findings(world);
  for (const one of cases)
    if (!one.key.includes(ALIAS))
      await askSpoilt(world, found, one, {
        at: one.at,
        share: SHARE,
        body: world.filled(one.row.body),
        open: (what) => open.add(`${one.key} ${what}`),
      });
  found.none(400);
  assert.deepEqual([...open].sort(), [...ANYTHING_GOES].sort(), 'what takes any value or key');
});

/** The path with one parameter replaced. */
const withPart = (path: string, at: number, value: string) =>
  path
    .split('/')
    .map((part, index) => (index === at ? value : part))
    .join('/');
const MALFORMED = ['not-an-id', 'x'.repeat(300), '%E2%98%83'];

test('objects that are not there, and ids that cannot be any', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    const { row } = one;
    const body = world.filled(one.row.body);
    for (const [name, part] of one.params) {
      const filled = pathFor(world, one);
      const [status] = row.missing?.[name] ?? [404];
      const value = filled.split('/')[part]?.split('?')[0] ?? '';
      const absent =
        status === 201
          ? `new-${part}`
          : /^[0-9a-f-]{36}$/.test(value)
            ? '00000000-0000-4000-8000-00000000dead'
            : /^\d+$/.test(value) && name !== 'key' && !one.key.includes('/flavors')
              ? '999999'
              : 'nothing-here';
      const query = filled.includes('?') ? filled.slice(filled.indexOf('?')) : '';
      const place = (id: string) => `${one.method} ${withPart(filled.split('?')[0] ?? '', part, id)}${query}`;
      await found.ask(
        `${one.key} without ${name}`,
        place(absent),
        { as: row.as, at: one.at, body },
        (answer) =>
          isNot(status, answer) || (status === 404 && !row.nameless && !answer.message.includes(absent) && `does not name ${absent}`),
      );
      const [bad, , ids = MALFORMED] = row.malformed?.[name] ?? [404];
      for (const id of ids)
        await found.ask(`${one.key} with a bad ${name}`, place(id), { as: row.as, at: one.at, body }, (answer) => isNot(bad, answer));
    }
    for (const [field, value, status, word] of row.absent ?? [])
      await found.ask(
        `${one.key}, ${field} of nothing`,
        `${one.method} ${pathFor(world, one)}`,
        { as: row.as, at: one.at, body: placed(body, field, value) },
        (answer) => isNot(status, answer) || (!word.test(answer.message) && `says not ${word}`),
      );
  }
  found.none(500);
});

/** A copy of a body with one field set: `server.networks.0.uuid`. */
function placed(body: unknown, field: string, value: unknown): unknown {
  const copy = structuredClone(body);
  const parts = field.split('.');
  // biome-ignore lint/suspicious/noExplicitAny: any body
  let here: any = copy;
  for (const part of parts.slice(0, -1)) here = here[part];
  here[parts.at(-1) ?? ''] = value;
  return copy;
}
/** What stands in a row's body at a field: `{volume}`. */
const nounAt = (body: unknown, field: string): string => {
  // biome-ignore lint/suspicious/noExplicitAny: any body
  let here: any = body;
  for (const part of field.split('.')) here = here?.[part];
  return /^\{(\w+)\}$/.exec(String(here))?.[1] ?? '';
};

test('objects of another project are as if they were not there', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    const body = world.filled(one.row.body);
    const judge = (status: number) => (answer: Answer) => isNot(status, answer) || (answer.text.includes(SECRET) && 'it tells a secret');
    for (const [name, part] of one.params) {
      const noun = /^\{(\w+)\}$/.exec(one.path.split('?')[0]?.split('/')[part] ?? '')?.[1] ?? '';
      const id = world.foreign[noun];
      if (id === undefined) continue;
      const place = `${one.method} ${withPart(pathFor(world, one), part, id)}`;
      await found.ask(`${one.key}: ${name} of another project`, place, { at: one.at, body }, judge(one.row.foreign?.[0] ?? 404));
    }
    for (const [field, , status] of one.row.absent ?? []) {
      const id = world.foreign[nounAt(one.row.body, field)];
      if (id !== undefined && !one.row.as)
        await found.ask(
          `${one.key}: ${field} of another project`,
          `${one.method} ${pathFor(world, one)}`,
          { at: one.at, body: placed(body, field, id) },
          judge(status),
        );
    }
  }
  for (const key of ['GET /servers/detail', 'GET /os-server-groups', 'GET /os-keypairs'])
    await found.ask(
      `${key} lists`,
      key,
      { at: NEWEST },
      (answer) => isNot(200, answer) || (answer.text.includes(SECRET) && 'it tells a secret'),
    );
  for (const key of [
    'GET /os-volumes/detail',
    'GET /os-snapshots/detail',
    'GET /os-security-groups',
    'GET /os-networks',
    'GET /images/detail',
    'GET /os-floating-ips',
  ])
    await found.ask(
      `${key} lists`,
      key,
      { at: '2.35' },
      (answer) => isNot(200, answer) || (answer.text.includes(SECRET) && 'it tells a secret'),
    );
  found.none(200);
});

/** Queries of GETs that no version closes, and why; every other one is closed at the newest version. */
const OPEN_QUERIES: Readonly<Record<string, string>> = {
  'GET /versions/:id': 'Nova declares no words there, at any version',
  'GET /os-quota-sets/:id/defaults': 'as above',
  'GET /servers/:id/os-volume_attachments/:volume': 'as above',
  'GET /servers/:id/tags': 'as above',
  'GET /servers/:id/tags/:tag': 'as above',
};
test(
  'words of a query that nobody knows are refused where the newest version is strict, and ignored at the oldest and at /v2',
  PATIENCE,
  async () => {
    const found = findings(world);
    const open: string[] = [];
    for (const one of cases) {
      const route = computeRoutes[one.key];
      if (one.method !== 'GET' || one.key === 'GET /') continue;
      const sign = (path: string) => `${path}${path.includes('?') ? '&' : '?'}kilonova_unknown=1`;
      const { as } = one.row;
      const good = await world.send(`GET ${pathFor(world, one)}`, { as, at: one.at });
      const answer = await found.ask(one.key, `GET ${sign(pathFor(world, one))}`, { as, at: one.at }, (answer) =>
        answer.status === 400 ? !answer.message.includes('kilonova_unknown') && 'does not name the word' : isNot(good.status, answer),
      );
      if (answer.status !== 400 && one.at === NEWEST) open.push(one.key);
      if (route?.since === undefined && !one.key.includes('/os-scheduler-decisions')) {
        // our own, strict from the start
        const old = await world.send(`GET ${pathFor(world, one)}`, { as, at: '2.1' });
        await found.ask(one.key, `GET ${sign(pathFor(world, one))}`, { as, at: '2.1' }, (answer) => isNot(old.status, answer));
        await found.ask(one.key, `GET /v2${sign(pathFor(world, one))}`, { as }, (answer) => isNot(old.status, answer));
      }
      const words = route?.query?.schema(one.at as '2.1').properties as Record<string, { items?: object; maxItems?: number }> | undefined;
      for (const [word, { items, maxItems }] of Object.entries(words ?? {})) {
        for (const bad of badWords(items ?? {}))
          await found.ask(
            `${one.key} word ${word}`,
            `GET ${pathFor(world, one)}?${word}=${encodeURIComponent(bad)}`,
            { as, at: one.at },
            (answer) =>
              isNot(400, answer) ||
              (!answer.message.includes(word) && !answer.message.includes(word.replace('_', ' ')) && `does not name ${word}`),
          );
        if (maxItems === 1)
          await found.ask(`${one.key} word ${word} twice`, `GET ${pathFor(world, one)}?${word}=1&${word}=1`, { as, at: one.at }, (answer) =>
            isNot(400, answer),
          );
      }
    }
    found.none(200);
    assert.deepEqual([...new Set(open)].sort(), Object.keys(OPEN_QUERIES).sort());
  },
);
/** Values that a query word's own rule forbids. */
function badWords(items: { enum?: unknown; pattern?: string; minLength?: number; maxLength?: number; format?: string }): string[] {
  return [
    ...(items.enum ? ['none-of-these'] : []),
    ...(items.pattern && !new RegExp(items.pattern).test('!?') ? ['!?'] : []),
    ...(items.minLength ? [''] : []),
    ...(items.format === 'date-time' ? ['yesterday'] : []),
    ...(items.format === 'regex' ? ['(['] : []),
  ];
}

test('/v2 takes out what it does not know, and still refuses wrong types', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    const route = computeRoutes[one.key];
    if (!route?.body || one.key.includes(ALIAS) || route.since !== undefined || !one.path.includes('{')) continue;
    const body = world.filled(one.row.at === undefined || one.row.at === '2.1' ? one.row.body : undefined);
    if (body === undefined) continue;
    // Of nothing: so that the answer is a 404 once the body is read, and nothing is changed.
    const [, part] = one.params[0] ?? ['', -1];
    if (part < 0 || one.row.missing || one.row.malformed) continue;
    const place = `${one.method} /v2${withPart(pathFor(world, one), part, '00000000-0000-4000-8000-00000000dead')}`;
    if ((await world.send(place, { as: one.row.as, body })).status !== 404) continue; // a body of newer versions only
    for (const bad of spoilt(route.body.schema('2.1'), body, () => {})) {
      const whole = bad.at.split(' ')[0] === 'the' || bad.at === 'kilonova_unknown';
      if (bad.kind === 'unknown' && !whole && !bad.at.endsWith('b/a/d'))
        await found.ask(`${one.key} ${bad.at}`, place, { as: one.row.as, body: bad.body }, (answer) => isNot(404, answer));
      if (bad.kind === 'missing' && !whole)
        await found.ask(`${one.key} without ${bad.at}`, place, { as: one.row.as, body: bad.body }, (answer) => isNot(400, answer));
    }
  }
  found.none(20);
});

test('an operation that other versions have: a 404 that names them', PATIENCE, async () => {
  const found = findings(world);
  for (const one of cases) {
    const { since, until } = computeRoutes[one.key] ?? {};
    const beside = [
      ...(since && since !== '2.1' ? [[`2.${minor(since) - 1}`, since] as const] : []),
      ...(until && until !== NEWEST ? [[`2.${minor(until) + 1}`, until] as const] : []),
    ];
    for (const [at, edge] of beside)
      await found.ask(
        one.key,
        `${one.method} ${pathFor(world, one)}`,
        { as: one.row.as, at, body: world.filled(one.row.body) },
        (answer) => isNot(404, answer) || (!answer.message.includes(edge) && `does not name ${edge}`),
      );
  }
  found.none(100);
});
