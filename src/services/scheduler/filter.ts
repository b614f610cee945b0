import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Micros } from '../../lib/clock.ts';
import type { NumaLimits } from '../../model/numa/topology.ts';
import type { Candidate, HostView } from './host-view.ts';
import type { FilterOptions } from './options.ts';
import type { Wish } from './wish.ts';

/** Limits that the claim must keep besides, by Nova's names: { memory_mb: 98304 }. */
export type Limits = Readonly<Record<string, number | NumaLimits>>;
/** A filter's answer: yes, or why not. The reason holds no host's name: tenants may read it. */
export type Verdict =
  | { readonly ok: true; readonly limits?: Limits; readonly candidates?: readonly Candidate[] }
  | { readonly ok: false; readonly why: string; readonly limits?: Limits; readonly candidates?: readonly Candidate[] };
export const ok: Verdict = { ok: true };
export const no = (why: string): Verdict => ({ ok: false, why });

/** The wish, with what filters and weighers may know of the moment. */
export interface Ask {
  readonly wish: Wish;
  readonly now: Micros;
  readonly options: FilterOptions;
  /** All aggregates of the cloud, those without hosts too. */
  readonly aggregates?: readonly { readonly metadata: Readonly<Record<string, string>> }[];
  /** What an attestation service said of nodes. */
  readonly attestations?: readonly { readonly host: string; readonly level: string; readonly at: string }[];
}
/** An ask of the live cloud: the request also goes through the stages that placement answers in Nova. */
export interface LiveAsk extends Ask {
  readonly request: HostRequest;
}

/** Decides whether one host may carry the request. Pure: no I/O, no clock, no config lookup. A throw aborts the whole request and names the filter. */
export interface Filter {
  readonly name: string;
  /** Not asked again for the second and later servers of one request. */
  readonly oncePerRequest?: true;
  readonly runOnRebuild?: true;
  /** Asked of a forced host too: the claim would refuse it there. */
  readonly alsoForced?: true;
  /** A plug-in: it is asked about a request before it is judged, and about no other. */
  readonly outside?: true;
  /** False: the filter says yes to every host for this request, and need not be asked. */
  concerns?(ask: Ask): boolean;
  judge(host: HostView, ask: Ask): Verdict;
}
