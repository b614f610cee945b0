import type { Ask } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import { type HostChanges, indexOf, isFacts, isMissed } from './host-changes.ts';

export const [REFUSED, PASSED, THREW] = [0, 1, 2] as const;

/** One question's verdict on every host, kept up by the lines of changes: a bitmap with a place for what threw. */
export interface Verdicts {
  readonly of: Uint8Array;
  /** Brings it up to the newest change. */
  follow(ask: Ask): void;
}

export function keepVerdicts(
  hosts: readonly HostView[],
  changes: HostChanges,
  judge: (host: HostView, ask: Ask) => { readonly ok: boolean },
  byAmounts: boolean,
): Verdicts {
  const of = new Uint8Array(hosts.length);
  let read = Number.NEGATIVE_INFINITY;
  const one = (at: number, ask: Ask) => {
    try {
      of[at] = judge(hosts[at]!, ask).ok ? PASSED : REFUSED;
    } catch {
      of[at] = THREW; // the plain code asks again and says who threw
    }
  };
  return {
    of,
    follow(ask) {
      if (read === changes.next) return;
      if (isMissed(changes, read)) for (let at = 0; at < of.length; at++) one(at, ask);
      else for (let line = read; line < changes.next; line++) if (byAmounts || isFacts(changes, line)) one(indexOf(changes, line), ask);
      read = changes.next;
    },
  };
}
