import type { Micros } from '../../../lib/clock.ts';
import type { HostView } from '../host-view.ts';
import { type HostChanges, indexOf, isFacts, isMissed, touch } from './host-changes.ts';

/** What is known of a host's service, added up. */
export const [DISABLED, FORCED_DOWN, UP] = [1, 2, 4] as const;

export interface Liveness {
  look(now: Micros): void;
  stateOf(at: number): number;
}
/** Whether services are alive changes with the time alone. This writes a line for each host where it did, looking at all of them only when services were
 *  read anew or the first host could have gone down or come back. */
export function watchLiveness(hosts: readonly HostView[], changes: HostChanges, downMicros: number): Liveness {
  const known = new Uint8Array(hosts.length);
  let [last, next, services, read] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0];
  const lookAt = (at: number, now: Micros) => {
    const host = hosts[at]!;
    const seen = host.lastSeenAt ?? host.serviceCreatedAt;
    let state: number = (host.disabled ? DISABLED : 0) + (host.forcedDown ? FORCED_DOWN : 0);
    if (seen !== null && !Number.isNaN(seen)) {
      if (Math.abs(now - seen) <= downMicros) state += UP;
      // Up from seen - down to seen + down, both included.
      if (seen - downMicros > now) next = Math.min(next, seen - downMicros);
      else if (seen + downMicros >= now) next = Math.min(next, seen + downMicros + 1);
    }
    if (known[at] === state) return;
    known[at] = state;
    touch(changes, at, 'facts');
  };
  const look = (now: Micros) => {
    const all = now < last || now >= next || services !== changes.services || isMissed(changes, read);
    if (all) next = Number.POSITIVE_INFINITY;
    const [from, to] = [read, changes.next]; // what is written below is known already
    if (all) for (let at = 0; at < hosts.length; at++) lookAt(at, now);
    else for (let line = from; line < to; line++) if (isFacts(changes, line)) lookAt(indexOf(changes, line), now);
    [last, services, read] = [now, changes.services, changes.next];
  };
  return { look, stateOf: (at) => known[at]! };
}
