import { computeRoutes } from '../../../src/services/compute-api/app.ts';
import { type Case, type findings, pathFor } from './cases.ts';
import { type Spoilt, spoilt } from './spoil.ts';
import type { World } from './world.ts';

/** Asks with every field of the wrong type, of a wrong value, missing or unknown: each must be a 400 that names the field. With a `share`: every so
 *  many of them. */
export async function askSpoilt(
  world: World,
  found: ReturnType<typeof findings>,
  one: Case,
  more: { readonly at: string; readonly body: unknown; readonly open?: (what: string) => void; readonly share?: number },
): Promise<void> {
  const { at, body, open = () => {}, share = 1 } = more;
  const schema = computeRoutes[one.key]?.body?.schema(at as '2.1');
  if (!schema) return;
  const place = `${one.method} ${pathFor(world, one)}`;
  const action = one.key.includes('#');
  const ask = (bad: Spoilt) =>
    found.ask(`${one.key} ${bad.kind} ${bad.at}`, place, { as: one.row.as, at, body: bad.body }, (answer) => {
      if (answer.status !== 400) return 'not 400';
      const names = action && bad.at.startsWith('the body') ? [] : bad.names;
      return names.length > 0 && !names.some((name) => answer.message.includes(name)) && `names not ${names.join()}`;
    });
  const every = [...spoilt(schema, body, open)].filter((_, at) => at % share === 0);
  // Client and cloud work side by side.
  for (let from = 0; from < every.length; from += 16) await Promise.all(every.slice(from, from + 16).map(ask));
}
