import type { Clock } from '../../lib/clock.ts';
import { guestLostHere, guestLostThere, hypervisorFailed } from '../../model/errors-hypervisor.ts';

/** The deeds that can be told to go wrong. */
export type Deed =
  | 'fetchImage'
  | 'createDisks'
  | 'spawn'
  | 'destroy'
  | 'removeDisks'
  | 'powerOff'
  | 'powerOn'
  | 'reboot'
  | 'pause'
  | 'unpause'
  | 'suspend'
  | 'resume'
  | 'crashDump'
  | 'setPassword'
  | 'rescue'
  | 'unrescue'
  | 'attachNic'
  | 'detachNic'
  | 'attachVolume'
  | 'detachVolume'
  | 'swapVolume'
  | 'extendVolume'
  | 'snapshot'
  | 'resizeDisks'
  | 'offerDisks'
  | 'fetchDisks'
  | 'prepareIncoming'
  | 'claimIncoming'
  | 'migrateLive';

export interface Trouble {
  /** So many calls fail before their effect. */
  readonly failTimes?: number;
  /** Each call takes so long. */
  readonly slowMs?: number;
  /** So many calls take effect, and fail all the same: the caller cannot know. */
  readonly loseReplies?: number;
}
/** How a deed that can be hurried spends the time it was told to take: `slow` ends early when its signal aborts. */
export type Slowly = (slow: (signal: AbortSignal) => Promise<void>) => Promise<void>;
/** What goes wrong on this host, as data. `loseReplies` at the top counts over all deeds together. */
export type Misbehaviour = { readonly [deed in Deed]?: Trouble } & { readonly loseReplies?: number };

/** Wraps a deed in what it was told to do wrong: by the host's `Misbehaviour`, and by the guest's own metadata
 *  `fake:<deed>` = `fail` | `fail-once` | `fail-on:<host name>` | `lose-reply-once` | `slow:<ms>`; of a migration also `lost-there` | `lost-here`.
 *  `happened` is shared by the hosts of one cloud, so that "once" means once anywhere. */
export function createMisbehaviour(parts: { hostname: string; clock: Clock; misbehaviour: Misbehaviour; happened: Set<string> }) {
  const { hostname, clock, misbehaviour, happened } = parts;
  const calls = new Map<Deed, number>();
  const replies = new Map<Deed, number>();
  let lost = 0;
  const fail = (deed: Deed, why: string) => hypervisorFailed({ why: `the fake hypervisor was told to fail ${deed} (${why})` });
  const once = (key: string) => !happened.has(key) && happened.add(key) !== undefined;

  return async <T>(
    deed: Deed,
    guest: { uuid: string; metadata: Readonly<Record<string, string>> } | undefined,
    work: () => T | Promise<T>,
    slowly?: Slowly,
  ): Promise<T> => {
    const trouble = misbehaviour[deed];
    const wish = guest?.metadata[`fake:${deed}`];
    const slowMs = (trouble?.slowMs ?? 0) + (wish?.startsWith('slow:') ? Number(wish.slice(5)) || 0 : 0);
    if (slowMs > 0) await (slowly ? slowly((signal) => clock.sleep(slowMs, signal)) : clock.sleep(slowMs));
    if (trouble?.failTimes) {
      const call = (calls.get(deed) ?? 0) + 1;
      calls.set(deed, call);
      if (call <= trouble.failTimes) throw fail(deed, `call ${call} of ${trouble.failTimes}`);
    }
    if (wish === 'fail' || wish === `fail-on:${hostname}`) throw fail(deed, `metadata fake:${deed}=${wish}`);
    if (wish === 'fail-once' && once(`${guest?.uuid} ${deed}`)) throw fail(deed, `metadata fake:${deed}=fail-once`);
    const outcome = await work();
    if (wish === 'lost-there' || wish === 'lost-here')
      throw (wish === 'lost-there' ? guestLostThere : guestLostHere)({ why: `metadata fake:${deed}=${wish}` });
    const count = (replies.get(deed) ?? 0) + 1;
    replies.set(deed, count);
    if (count <= (trouble?.loseReplies ?? 0) || (wish === 'lose-reply-once' && once(`${guest?.uuid} ${deed} reply`))) {
      throw hypervisorFailed({ why: `the reply to ${deed} was lost` });
    }
    if (lost < (misbehaviour.loseReplies ?? 0)) {
      lost++;
      throw hypervisorFailed({ why: `the reply to ${deed} was lost` });
    }
    return outcome;
  };
}
