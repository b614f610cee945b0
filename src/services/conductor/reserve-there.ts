import type { Query } from '../../db/engine.ts';
import { setMigration } from '../../db/tables/compute/migrations.ts';
import { reservePlace, unreservePlace } from '../../db/tables/compute/moving.ts';
import type { Micros } from '../../lib/clock.ts';
import { amountsOf } from '../../model/resources.ts';
import { findPlace, groupOfMover, type PlaceWish } from './find-place.ts';
import { ownDisks } from './guests.ts';
import { hostIpOf, migrationOf, notesOf } from './move-steps.ts';
import { partsAskOf } from './parts-ask.ts';
import type { Run, Step } from './run-job.ts';

type Mover = 'move-server' | 'live-migrate' | 'evacuate-server';
interface Reservation<K extends Mover> {
  readonly wish: (run: Run<K>) => Omit<PlaceWish, 'group'> | Promise<Omit<PlaceWish, 'group'>>;
  /** Of the migration from then on. */
  readonly status: string;
  /** What notifications say of the claim. */
  readonly details?: (run: Run<K>) => object;
  /** What else is written when `host` is claimed. */
  readonly also: (tx: Query, run: Run<K>, host: string, at: Micros) => Promise<unknown>;
}

/** The first step of a move: a claim on the host it goes to, beside the one the server holds, and a note of both. */
export const reserveThere = <K extends Mover>({ wish: wishOf, status, details, also }: Reservation<K>): Step<K> => ({
  name: 'reserve',
  atomic: true,
  async do(run) {
    const { job, parts, server } = run;
    const { migrationUuid } = job.input;
    const wish = { ...(await wishOf(run)), group: await groupOfMover(parts.db.read, server) };
    return findPlace(run, 'reserve', wish, async (tx, place, at) => {
      const taken = await reservePlace(
        tx,
        parts.db.kind,
        server,
        migrationUuid,
        amountsOf(ownDisks({ flavor: wish.flavor, imageId: server.imageId })),
        wish.group,
        place,
        at,
        parts.options.enforced,
        details?.(run),
        partsAskOf(parts.options, wish.flavor, server.image, wish.forcedHost !== null),
      );
      if (!taken) return null;
      const set = { dest_host: place.host, dest_node: place.node, dest_ip: await hostIpOf(tx, place.host), status };
      await setMigration(tx, migrationUuid, set, at);
      await also(tx, run, place.host, at);
      return { marks: { reserve: 'finished' }, notes: { dest: { host: place.host, node: place.node }, epoch: server.epoch } };
    });
  },
  async undo(run) {
    if (notesOf(run).moved) return undefined;
    const { job, parts, server } = run;
    await run.commit(async (tx) => {
      await unreservePlace(tx, server, await migrationOf(tx, job.input.migrationUuid), parts.clock.now());
      return { marks: { reserve: 'undone' } };
    });
    return undefined;
  },
});

/** Any other host, or the one that was named. */
export const elsewhere = ({ job: { input }, server }: Run<'live-migrate'> | Run<'evacuate-server'>): Omit<PlaceWish, 'group'> => ({
  flavor: server.flavor,
  excludedHosts: server.host === null ? [] : [server.host],
  requestedHost: input.force ? null : input.host,
  forcedHost: input.force ? input.host : null,
});
