import type { DeedCommand } from '../../../bus/contracts/compute-agent.ts';
import type { AgentReport } from '../../../bus/contracts/conductor.ts';
import type { DeedArgs, DeedName, DeedResult } from '../../../bus/contracts/guest-deeds.ts';
import type { GuestSpec, MoveProgress, PowerState } from '../../../hypervisors/driver.ts';
import type { Entry } from '../journal.ts';
import type { AgentParts } from '../parts.ts';
import type { ResourceTracker } from '../resource-tracker.ts';

/** A deed in hand. What is done to one guest is done in turn, so nothing else changes it meanwhile. */
export interface DeedAt {
  readonly parts: AgentParts;
  readonly command: DeedCommand;
  /** What the journal says of the guest; undefined: nothing. */
  readonly entry: Entry | undefined;
  readonly tracker: ResourceTracker;
  /** Aborts when the server is deleted meanwhile, or the agent stops: then nobody wants the outcome. */
  readonly signal: AbortSignal;
  /** Waits until a live migration may leave this host, or `signal` aborts; answers how to say that it has ended. */
  turnToLeave(): Promise<() => void>;
  /** Tells the conductor how far it is, as the server's task state; may get lost. */
  told(taskState: string): void;
  /** Tells the conductor how far a live migration is; may get lost. */
  moved(bytes: MoveProgress): void;
}
/** What came of it; what is named is written into the journal with it. */
export interface DeedDone<D extends DeedName> {
  readonly result: DeedResult<D>;
  readonly power?: PowerState;
  readonly networkInfo?: AgentReport['networkInfo'];
  readonly phases?: AgentReport['phases'];
  /** The guest as it is now. */
  readonly guest?: GuestSpec;
  /** More of the journal's entry that changed: its state, epoch or amounts. 'gone': nothing stands here any more, only the outcome is kept until it is recorded. */
  readonly entry?: Partial<Pick<Entry, 'state' | 'epoch' | 'amounts' | 'until'>> | 'gone';
}
export interface Deed<D extends DeedName> {
  /** 'guest': a guest must stand here under the command's epoch. 'host': the deed looks for itself. */
  readonly on: 'guest' | 'host';
  /** Safe to repeat, also after a death half way. Throws CloudErrors; then the guest is as it was, as far as that can be. */
  run(at: DeedAt & { readonly guest: GuestSpec }, args: DeedArgs<D>): Promise<DeedDone<D>>;
}
export type DeedOnGuest<D extends DeedName> = Deed<D>['run'];
