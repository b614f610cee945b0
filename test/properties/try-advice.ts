import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Advice, HostRequest } from '../../src/bus/contracts/scheduler.ts';
import { advise } from '../../src/services/scheduler/advise.ts';
import type { LiveAsk } from '../../src/services/scheduler/filter.ts';
import type { HostColumns } from '../../src/services/scheduler/host-columns.ts';
import type { Rules } from '../../src/services/scheduler/options.ts';
import { selectHosts } from '../../src/services/scheduler/select.ts';
import { NOW } from './cloud.ts';

interface Cloud<H> {
  readonly hosts: readonly H[];
  readonly columns: HostColumns;
  readonly rules: Rules;
  readonly askOf: (what: HostRequest) => LiveAsk;
  readonly put: (at: number, host: H) => void;
  /** Adds a host as the advice says, and no better. */
  readonly add: (wanted: NonNullable<Advice['add']>) => void;
}
export type AdviceKind = 'request' | 'host' | 'add';

/** When a request is refused, the first advice, applied to the word, must make it fit, and its text for tenants names no host. Answers the kind of the
 *  advice; undefined: there was no refusal. */
export function tryAdvice<H extends object>(
  asked: HostRequest,
  { hosts, columns, rules, askOf, put, add }: Cloud<H>,
): AdviceKind | undefined {
  const fits = (what: HostRequest) => {
    try {
      return selectHosts(columns, rules, askOf(what), 1).hosts.length > 0;
    } catch {
      return undefined; // a filter failed, or nobody can read it: that is no refusal
    }
  };
  if (fits(asked) !== false) return undefined;
  const advice = advise(columns, rules, askOf(asked));
  for (const at of hosts.keys()) assert.ok(!advice.tenantText.includes(`host-${at}`));
  if (advice.host) {
    const at = columns.byName.get(advice.host)!.index;
    put(at, { ...hosts[at]!, disabled: false, lastSeenAt: NOW });
  }
  if (advice.add) add(advice.add);
  assert.equal(fits(advice.request ?? asked), true, `${rules.filters.map((one) => one.name)}: ${advice.text}`);
  return advice.add ? 'add' : advice.host ? 'host' : 'request';
}

/** Draws until so many requests were refused; `count` is called with each kind of advice. */
export function untilRefused<T>(
  drawn: fc.Arbitrary<T>,
  judge: (one: T) => AdviceKind | undefined,
  { refusals, numRuns, seed }: { refusals: number; numRuns: number; seed?: number | undefined },
): Record<AdviceKind, number> {
  const kinds = { request: 0, host: 0, add: 0 };
  let refused = 0;
  const property = fc.property(drawn, (one) => {
    const kind = judge(one);
    if (kind === undefined) return;
    refused++;
    kinds[kind]++;
  });
  for (let round = 0; refused < refusals; round++) fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed: seed + round }) });
  return kinds;
}
