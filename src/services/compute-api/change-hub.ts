import type { Database } from '../../db/engine.ts';
import { type Change, lastChange, readChanges } from '../../db/tables/compute/changes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { statusOf } from '../../model/server-states.ts';

/** One change of a server with what the server is now (it may have changed again since). */
export interface ServerChange {
  readonly seq: number;
  readonly what: string;
  readonly projectId: string | null;
  readonly data: {
    readonly seq: number;
    readonly server_id: string;
    readonly what: string;
    readonly at: string;
    readonly name: string | null;
    readonly status: string;
    readonly vm_state: string;
    readonly task_state: string | null;
    readonly power_state: number;
    readonly project_id: string | null;
  };
}
/** Reads the change feed once for everybody who follows it in this process. */
export interface ChangeHub {
  /** Changes after a number, oldest first. `gone`: the number is older than what is kept. */
  read(after: number): Promise<{ changes: readonly ServerChange[]; last: number; gone: boolean }>;
  /** The number of the newest change. */
  now(): Promise<number>;
  /** Calls `heard` when there may be something new; answers the way to stop. */
  follow(heard: () => void): () => void;
}

const POLL_MS = 1000;
const PAGE = 500;

export function openChangeHub(parts: {
  db: Database;
  clock: Clock;
  log: Log;
  /** Calls back at each ring of the feed; absent: it is looked at now and then. */
  onRing?: ((heard: () => void) => void) | undefined;
}): ChangeHub {
  const { db, clock, log } = parts;
  const followers = new Set<() => void>();
  let seen = -1;
  let cancel = () => {};
  const tell = () => {
    for (const heard of followers) heard();
  };
  /** Rings may get lost: with followers the end of the feed is looked at by the clock too. */
  const look = () => {
    cancel();
    cancel = clock.after(POLL_MS, () => {
      lastChange(db.read)
        .then((last) => {
          if (last !== seen) tell();
          seen = last;
        })
        .catch((cause) => log.warn({ err: cause }, 'the change feed could not be looked at'))
        .finally(() => {
          if (followers.size > 0) look();
        });
    });
  };
  parts.onRing?.(tell);
  return {
    async read(after) {
      const { changes, last, gone } = await readChanges(db.read, after, PAGE);
      return { changes: gone ? [] : await dress(db, changes), last, gone };
    },
    now: () => lastChange(db.read),
    follow(heard) {
      followers.add(heard);
      if (followers.size === 1) look();
      return () => {
        followers.delete(heard);
        if (followers.size === 0) cancel();
      };
    },
  };
}

async function dress(db: Database, changes: readonly Change[]): Promise<ServerChange[]> {
  const mine = changes.filter((change) => change.noun === 'server');
  if (mine.length === 0) return [];
  const rows = await db.read
    .selectFrom('servers')
    .select(['uuid', 'name', 'vm_state', 'task_state', 'power_state', 'project_id'])
    .where('uuid', 'in', [...new Set(mine.map((change) => change.key))])
    .execute();
  const servers = new Map(rows.map((row) => [row.uuid, row]));
  return mine.map((change) => {
    const row = servers.get(change.key);
    const vm_state = row?.vm_state ?? 'deleted';
    const projectId = row?.project_id ?? change.projectId;
    return {
      seq: change.seq,
      what: change.what,
      projectId,
      data: {
        seq: change.seq,
        server_id: change.key,
        what: change.what,
        at: new Date(change.at / 1000).toISOString(),
        name: row?.name ?? null,
        status: statusOf(vm_state, row?.task_state ?? null),
        vm_state,
        task_state: row?.task_state ?? null,
        power_state: row?.power_state ?? 0,
        project_id: projectId,
      },
    };
  });
}
