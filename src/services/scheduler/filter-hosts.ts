import type { Ask, Filter } from './filter.ts';
import type { HostView } from './host-view.ts';
import { judged } from './select.ts';
import { isRebuild } from './wish.ts';

/** The hosts that every filter passes, filter after filter. `index`: which server of a request for several this is; what filters set on the way
 *  (limits, candidates) is told to `settle`. A throw aborts and names the filter. Also stops when nothing is left.
 *  Spec: Nova's BaseFilterHandler. */
export function filterHosts<H extends HostView>(
  hosts: readonly H[],
  filters: readonly Filter[],
  ask: Ask,
  index: number,
  settle: (host: H, limits: Readonly<Record<string, unknown>> | undefined, candidates: HostView['candidates'] | undefined) => void,
): H[] {
  let left = hosts.slice();
  for (const filter of filters) {
    if (left.length === 0) break;
    if (filter.oncePerRequest && index > 0) continue;
    left = left.filter((host) => {
      if (!filter.runOnRebuild && isRebuild(ask.wish)) return true;
      const verdict = judged(filter, host, ask);
      if (verdict.limits || verdict.candidates) settle(host, verdict.limits, verdict.candidates);
      return verdict.ok;
    });
  }
  return left;
}
