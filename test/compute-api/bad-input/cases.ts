import assert from 'node:assert/strict';
import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { removedRoutes } from '../../../src/services/compute-api/removed.ts';
import { type Row, rows } from './rows.ts';
import { type Answer, type Asked, pathOf, type World } from './world.ts';

export const NEWEST = '2.104';
/** Another name of /servers, with the very same routes. */
export const ALIAS = ' /os-volumes_boot';
/** Served operations: those that are gone have a test of their own, and an answer without an end too. */
export const served = Object.entries(computeRoutes).filter(
  ([key]) => !(key.replace('/os-volumes_boot', '/servers') in removedRoutes) && key !== 'GET /servers/changes',
);
export const rowOf = (key: string): Row | undefined => rows[key.replace(ALIAS, ' /servers')];

/** One form of one operation. */
export interface Case {
  readonly key: string;
  readonly method: string;
  readonly row: Row;
  readonly at: string;
  /** With `{noun}` where ids stand. */
  readonly path: string;
  /** Parameters of the route, and which part of the path is each. */
  readonly params: readonly (readonly [name: string, at: number])[];
}
export const minor = (version: string) => Number(version.split('.')[1]);
const older = (a = NEWEST, b: string = NEWEST) => (minor(a) < minor(b) ? a : b);
/** Every row with all its forms. */
export const cases: readonly Case[] = served.flatMap(([key, route]) => {
  const row = rowOf(key);
  if (!row) return [];
  return [row, ...(key.includes(ALIAS) ? [] : (row.also ?? []))].map((form) => {
    const { path, params } = pathOf(key, form);
    return {
      ...{ key, params, method: key.split(' ')[0] ?? '' },
      row: form,
      at: older(form.at, route.until),
      path: (key.includes(ALIAS) ? path.replace('/servers/', '/os-volumes_boot/') : path) + (form.query ? `?${form.query}` : ''),
    };
  });
});

/** Everything that is wrong, told at once. */
export function findings(world: World) {
  const wrong: string[] = [];
  let count = 0;
  return {
    /** Asks and judges; answers what came. */
    async ask(what: string, place: string, asked: Asked, judge: (answer: Answer) => string | false | undefined): Promise<Answer> {
      count++;
      const answer = await world.send(place, asked);
      const why = answer.status >= 500 && answer.status !== 501 ? 'a fault of ours' : judge(answer);
      if (why)
        wrong.push(
          `${what}: ${place.slice(0, 120)} at ${asked.at} ${JSON.stringify(asked.body)?.slice(0, 200) ?? ''} -> ${answer.status} ${answer.text.slice(0, 250)} (${why})`,
        );
      return answer;
    },
    none(atLeast: number) {
      if (process.env.SHOW) console.log(`${count} asked, ${wrong.length} wrong\n${wrong.slice(0, Number(process.env.SHOW)).join('\n')}`);
      assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${count} are wrong`);
      assert.ok(count >= atLeast, `only ${count} were asked`);
    },
  };
}
export const isNot = (status: number, answer: Answer) => answer.status !== status && `not ${status}`;
const encoded = (path: string) =>
  path
    .split('/')
    .map((part) => (part.includes('%') ? part : encodeURIComponent(part).replaceAll('%3F', '?').replaceAll('%3D', '=')))
    .join('/');
/** The path of a case, with ids. */
export const pathFor = (world: World, one: Case): string => encoded(world.fill(one.path));
