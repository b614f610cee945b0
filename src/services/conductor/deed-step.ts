import { computeAgentContract } from '../../bus/contracts/compute-agent.ts';
import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { DeedArgs, DeedName, DeedResult } from '../../bus/contracts/guest-deeds.ts';
import type { Query } from '../../db/engine.ts';
import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { findHost, isUp } from '../../db/tables/compute/hosts.ts';
import { type ServerSet, setServer } from '../../db/tables/compute/placing.ts';
import type { Micros } from '../../lib/clock.ts';
import { rebuildError, type WireError } from '../../model/errors.ts';
import { hostDown } from '../../model/errors-conductor.ts';
import type { JobKind } from '../../model/jobs.ts';
import type { Run } from './run-job.ts';

export interface DeedAsk<D extends DeedName> {
  /** Unique within the job; the agent does a step once. A deed that is tried anew needs a new name. */
  readonly step: string;
  readonly deed: D;
  readonly args: DeedArgs<D>;
  /** Where; the server's host when absent. */
  readonly host?: string;
  /** Owner epoch the agent shall hold for the guest; the server's when absent. */
  readonly epoch?: number;
  /** Event of the instance action that begins with it. */
  readonly event?: string;
  /** Written in the transaction in which the deed is asked for the first time. */
  readonly set?: ServerSet;
  /** What else is written in that transaction. */
  readonly also?: (tx: Query, at: Micros) => Promise<void>;
  /** Last moment at which the agent may begin; when absent the job's own, or some minutes from now while the job is undone. */
  readonly deadline?: Micros;
  /** What notifications of the event say beside the server: `{ volumeId }`. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Asked in an undo, or inside a step that is marked otherwise: no mark is written. */
  readonly unmarked?: true;
  /** Ask also a host that seems down: it may be the deed's last chance. */
  readonly evenIfDown?: true;
  /** First pause before it is told again; default: as for all commands. */
  readonly resendMs?: number;
}
/** What an agent answered. */
export interface DeedSaid<D extends DeedName> {
  readonly result: DeedResult<D>;
  readonly power: AgentReport['power'];
  readonly networkInfo: AgentReport['networkInfo'];
  readonly phases: AgentReport['phases'];
}
/** As it stands in the job's notes under `said:<step>`; written by server-reports.ts. */
export interface SaidNote extends Omit<DeedSaid<DeedName>, 'result'> {
  readonly error: WireError | null;
  readonly result: Readonly<Record<string, unknown>>;
}
/** Whom the job waits for, under `asked:<step>`: only that host's word is heard. */
export interface AskedNote {
  readonly host: string;
  readonly epoch: number;
  readonly tells: number;
}
/** How long an agent may take to begin a deed of an undo: the job's own time may be over. */
const UNDO_US = 600_000_000;
export const saidKey = (step: string) => `said:${step}`;
export const askedKey = (step: string) => `asked:${step}`;

/** Asks an agent for a deed, durably: the first call hands the job on ('waiting', which the step must answer too), the command is repeated until the
 *  agent's word is recorded, and then the same call answers it. Throws what the agent said when it failed, and hostDown. */
export async function askDeed<K extends JobKind, D extends DeedName>(run: Run<K>, ask: DeedAsk<D>): Promise<DeedSaid<D> | 'waiting'> {
  const { parts, job, server } = run;
  const { clock, options, db } = parts;
  const said = run.progress.notes[saidKey(ask.step)] as SaidNote | undefined; // only server-reports.ts writes it
  if (said) {
    if (said.error) throw rebuildError(said.error);
    return { ...said, result: said.result as DeedResult<D> }; // the agent checked it against the deed's shape
  }
  const asked = run.progress.notes[askedKey(ask.step)] as AskedNote | undefined; // written below
  const host = asked?.host ?? ask.host ?? server.host;
  const epoch = asked?.epoch ?? ask.epoch ?? server.epoch;
  const known = host === null ? undefined : await findHost(db.read, { host });
  if (host === null || !known || (!ask.evenIfDown && !isUp(known, clock.now(), options.serviceDownTime)))
    throw hostDown({ host: host ?? '' });
  const tells = (asked?.tells ?? 0) + 1;
  const at = clock.now();
  await run.commit(async (tx) => {
    if (tells === 1) {
      const { set, details = {} } = ask;
      if (set || Object.keys(details).length > 0) await setServer(tx, server, set ?? {}, { what: 'task', at, body: details });
      await ask.also?.(tx, at);
      const action = ask.event === undefined ? undefined : await findAction(tx, server.uuid, job.context.requestId);
      const event = { event: ask.event ?? '', host, startedAt: at, finishedAt: null, result: null, details: null };
      if (action !== undefined) await insertEvents(tx, action, [event]);
    }
    return {
      to: 'waiting',
      ...(ask.unmarked ? {} : { marks: { [ask.step]: 'started' as const } }),
      notes: { [askedKey(ask.step)]: { host, epoch, tells } satisfies AskedNote },
      inMs: (ask.resendMs ?? options.resendMs) * Math.min(6, tells),
    };
  });
  run.point(ask.step, 'middle');
  const command = {
    jobUuid: job.uuid,
    uuid: server.uuid,
    epoch,
    deadline: ask.deadline ?? (run.progress.failure ? Math.max(job.deadline, at + UNDO_US) : job.deadline),
    step: ask.step,
    deed: ask.deed,
    args: ask.args,
  };
  await parts.bus
    .tell(computeAgentContract, 'doDeed', command, { host })
    .catch((cause) => parts.log.warn({ err: cause, server: server.uuid, deed: ask.deed }, 'a command could not be sent yet'));
  return 'waiting';
}
