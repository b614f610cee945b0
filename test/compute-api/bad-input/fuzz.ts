import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { anyValue, type Dice, dice, numbers, oddIds, spoil, texts } from '../../house/hostile-words.ts';
import { type Row, rows } from './rows.ts';
import { pathOf, SECRET, type World } from './world.ts';

interface Form {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly row: Row;
  readonly at: string;
  /** Words that its query knows. */
  readonly words: readonly string[];
}
const NEWEST = '2.104';
/** Every form of every operation. Deletes and what ends a host are asked of odd ids only: the world must last. */
const forms: readonly Form[] = Object.entries(rows).flatMap(([key, row]) =>
  [row, ...(row.also ?? [])].map((form) => {
    const route = computeRoutes[key];
    const at = form.at ?? route?.until ?? NEWEST;
    const known: unknown = route?.query?.schema(at as '2.1').properties;
    return { key, row: form, at, method: key.split(' ')[0] ?? '', path: pathOf(key, form).path, words: Object.keys(known ?? {}) };
  }),
);
/** What would take away the ground that other requests stand on. */
const ENDS = /^DELETE |forceDelete|evacuate|os-services|quota|os-hosts/;
const WORDS = ['limit', 'marker', 'offset', 'all_tenants', 'changes-since', 'sort_key', 'kilonova', '', '__proto__', 'user_id', 'deleted'];

/** A body with one to three places broken; and one time in six, values for fields of the same name elsewhere. */
function broken(random: Dice, body: unknown): string {
  let text = spoil(random, body);
  for (let more = random.below(6); more < 2; more++) {
    const again: unknown = text === '' ? null : JSON.parse(text); // the whole body may be what was left out
    if (again === null || typeof again !== 'object') break;
    text = spoil(random, again);
  }
  return text;
}
/** A body of which one number or text is at an edge. */
const edged = (random: Dice, text: string) =>
  random.chance(0.5)
    ? text.replace(/:\s*\d+/, () => `:${random.pick(numbers.filter((one) => Number.isFinite(one)))}`)
    : text.replace(/:"[^"]*"/, () => `:${JSON.stringify(random.pick(texts).toWellFormed().slice(0, 5000))}`);

/** Sends so many requests, each good but for something; throws with the seed when one is answered with a fault of ours or tells what is another's. */
export async function fuzz(world: World, more: { readonly seed: number; readonly requests: number }): Promise<Record<string, number>> {
  const random = dice(more.seed);
  const seen: Record<string, number> = {};
  const wrong: string[] = [];
  const reached = new Set<string>();
  const ids = { ...world.own, demoProject: 'f'.repeat(32) };
  const one = async () => {
    const form = random.pick(forms);
    const ends = ENDS.test(form.key);
    const as = random.chance(0.15) ? 'demo' : random.chance(0.1) ? 'admin' : (form.row.as ?? 'demo');
    const path = form.path
      .split('/')
      .map((part) => {
        if (!/^\{\w+\}$/.test(part)) return random.chance(0.02) ? random.pick(oddIds) : part;
        if (random.chance(ends ? 0.8 : 0.12)) return random.pick(oddIds);
        if (random.chance(0.08) && as === 'demo') return world.fill(part, world.foreign);
        return ends && part !== '{server}'
          ? '00000000-0000-4000-8000-00000000dead'
          : ends
            ? random.pick(oddIds)
            : encodeURIComponent(world.fill(part, ids));
      })
      .join('/');
    const value = () => encodeURIComponent(random.pick(texts).toWellFormed().slice(0, 2000));
    const query = random.chance(form.words.length > 0 ? 0.7 : 0.15)
      ? `?${[random.pick([...form.words, ...WORDS]), random.pick([...form.words, ...WORDS])].map((word) => `${encodeURIComponent(word)}=${random.chance(0.3) ? random.pick(['1', '%ff', '%00', '-1', '', '9'.repeat(40)]) : value()}`).join('&')}`
      : form.row.query
        ? `?${encodeURIComponent(form.row.query).replace('%3D', '=')}`
        : '';
    const legacy = random.chance(0.1);
    const at = random.chance(0.7) ? form.at : `2.${1 + random.below(104)}`;
    let raw: string | undefined;
    if (form.row.body !== undefined) {
      const good = JSON.stringify(form.row.body);
      const text = random.chance(0.6)
        ? broken(random, form.row.body)
        : random.chance(0.8)
          ? edged(random, good)
          : JSON.stringify(anyValue(random));
      raw = world.fill(text, random.chance(0.08) && as === 'demo' ? world.foreign : ids);
    } else if (form.method !== 'GET' && random.chance(0.2)) raw = JSON.stringify(anyValue(random));
    const place = `${form.method} ${(legacy ? '/v2' : '/v2.1') + (path + query).replaceAll(' ', '%20').replaceAll(/[^\x21-\x7e]/g, '')}`;
    const answer = await world.send(place, { as, at: legacy ? undefined : at, ...(raw === undefined ? {} : { raw }) });
    seen[answer.status] = (seen[answer.status] ?? 0) + 1;
    if (answer.status < 300) reached.add(form.key);
    if ((answer.status >= 500 && answer.status !== 501) || answer.status === 0)
      wrong.push(`${answer.status} ${place.slice(0, 300)} at ${at} as ${as} ${raw?.slice(0, 1500) ?? ''} -> ${answer.text.slice(0, 300)}`);
    if (as === 'demo' && answer.text.includes(SECRET))
      wrong.push(`it tells a secret: ${place.slice(0, 300)} ${raw?.slice(0, 500) ?? ''} -> ${answer.text.slice(0, 300)}`);
  };
  for (let sent = 0; sent < more.requests; sent += 12) await Promise.all(Array.from({ length: 12 }, one));
  const told = `seed ${more.seed}: ${JSON.stringify(seen)}, ${reached.size} operations were served`;
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} wrong, ${told}`);
  assert.deepEqual(errorsLogged(world).slice(0, 5), [], told);
  assert.equal((await world.send('GET /servers', { at: NEWEST })).status, 200);
  if (process.env.SHOW) console.log(told);
  return seen;
}

/** What the cloud's log calls an error: also one that nobody waited for. */
const errorsLogged = (world: World) =>
  readFileSync(join(world.house.dataDir, 'kilonova.log'), 'utf8')
    .split('\n')
    .filter((line) => /"level":(50|60|"error"|"fatal")/.test(line))
    .map((line) => line.slice(0, 800));
