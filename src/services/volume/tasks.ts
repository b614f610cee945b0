import type { ImageClient } from '../../clients/image.ts';
import type { Database, Query } from '../../db/engine.ts';
import { giveVolumeQuota, takesOf } from '../../db/tables/volume/quotas.ts';
import { findSnapshot, findVolume, moveSnapshot, moveVolume, type TaskRow, type VolumeRow } from '../../db/tables/volume/volumes.ts';
import { type Clock, every } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { CloudError } from '../../model/errors.ts';
import type { DiskFormat } from '../../model/image.ts';
import { lockOf } from './luks.ts';
import { GIB, type VolumeStore } from './store.ts';

/** Work on files, each safe to repeat from its beginning. */
export type TaskWish =
  | { readonly kind: 'create-volume'; readonly target: string }
  | { readonly kind: 'delete-volume'; readonly target: string }
  | { readonly kind: 'extend-volume'; readonly target: string; readonly size: number; readonly servers: readonly string[] }
  | { readonly kind: 'revert-volume'; readonly target: string; readonly snapshot: string }
  | {
      readonly kind: 'reimage-volume';
      readonly target: string;
      readonly image: string;
      /** JSON: what the image says. */
      readonly metadata: string;
      readonly servers: readonly string[];
    }
  | { readonly kind: 'upload-volume'; readonly target: string; readonly image: string; readonly format: DiskFormat }
  | { readonly kind: 'create-snapshot'; readonly target: string }
  | { readonly kind: 'delete-snapshot'; readonly target: string };

/** Doing what was accepted. A task stands in the database before the answer goes out, and is done by whoever holds its lease. */
export interface Tasks {
  /** Writes the task down, in the transaction that accepts it. Answers its uuid. */
  add(tx: Query, wish: TaskWish): Promise<string>;
  /** Begins it now; call when the transaction is over. */
  begin(uuid: string): void;
  /** Resolves when nothing runs here. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const LEASE_US = 15_000_000;
const AT_ONCE = 8;

export interface TaskOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: VolumeStore;
  readonly images: ImageClient;
  readonly grown: ((volumeId: string, servers: readonly string[]) => Promise<void>) | undefined;
  readonly reimaged: ((volumeId: string, servers: readonly string[], done: boolean) => Promise<void>) | undefined;
  /** Nobody else works on this database: leases left by a former process are nobody's. */
  readonly alone: boolean;
}

export async function openTasks(options: TaskOptions): Promise<Tasks> {
  const { db, clock, log } = options;
  const me = newUuid();
  const ending = new AbortController();
  const running = new Map<string, Promise<void>>();
  const waiting: string[] = [];

  const lease = async (uuid: string): Promise<TaskRow | undefined> => {
    const now = clock.now();
    return db.transaction(async (tx) => {
      const done = await tx
        .updateTable('volume_tasks')
        .set({ owner: me, leased_until: now + LEASE_US })
        .where('uuid', '=', uuid)
        .where((eb) => eb.or([eb('owner', '=', me), eb('leased_until', '<', now)]))
        .executeTakeFirst();
      if (done.numUpdatedRows === 0n) return undefined;
      return tx.selectFrom('volume_tasks').selectAll().where('uuid', '=', uuid).executeTakeFirst();
    });
  };
  const work = async (uuid: string) => {
    const row = await lease(uuid);
    if (!row) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([ending.signal, stop.signal]);
    const renewing = every(
      clock,
      LEASE_US / 3000,
      stop.signal,
      async () => void (await lease(uuid)),
      () => undefined,
    );
    try {
      const wish = { ...JSON.parse(row.arguments), kind: row.kind, target: row.target } as TaskWish; // as `add` wrote it
      await perform(options, uuid, wish, signal);
    } finally {
      stop.abort();
      await renewing;
    }
  };
  const begin = (uuid: string) => {
    if (running.has(uuid) || waiting.includes(uuid)) return;
    if (running.size >= AT_ONCE) return void waiting.push(uuid);
    const done = work(uuid)
      .catch((cause) => {
        // Not written down as over: the next look takes it up again.
        if (!ending.signal.aborted)
          log.error({ err: cause, task: uuid }, 'a task on a volume did not come to its end; it will be tried again');
      })
      .finally(() => {
        running.delete(uuid);
        const next = waiting.shift();
        if (next !== undefined && !ending.signal.aborted) begin(next);
      });
    running.set(uuid, done);
  };
  const look = async () => {
    const rows = await db.read.selectFrom('volume_tasks').select('uuid').where('leased_until', '<', clock.now()).orderBy('id').execute();
    for (const { uuid } of rows) begin(uuid);
  };

  if (options.alone) await db.transaction((tx) => tx.updateTable('volume_tasks').set({ leased_until: 0 }).execute());
  const looking = every(clock, 5000, ending.signal, look, (cause) => log.warn({ err: cause }, 'open tasks on volumes cannot be read'));
  const idle = async () => {
    while (running.size > 0) await Promise.all(running.values());
  };
  return {
    async add(tx, wish) {
      const { kind, target, ...rest } = wish;
      const uuid = newUuid();
      const now = clock.now();
      await tx
        .insertInto('volume_tasks')
        .values({ uuid, kind, target, arguments: JSON.stringify(rest), owner: me, leased_until: now + LEASE_US, created_at: now })
        .execute();
      return uuid;
    },
    begin,
    idle,
    async stop() {
      ending.abort();
      await looking;
      await idle();
    },
  };
}

async function perform(parts: TaskOptions, task: string, wish: TaskWish, signal: AbortSignal): Promise<void> {
  const { db, clock, log } = parts;
  const over = async (tx: Query) => (await tx.deleteFrom('volume_tasks').where('uuid', '=', task).executeTakeFirst()).numDeletedRows > 0n;
  try {
    await doing[wish.kind](parts, wish as never, signal, over); // each kind has its own doer
  } catch (cause) {
    // A database that went away says nothing of the task: it may even be written down as done.
    if (signal.aborted || (cause instanceof CloudError && cause.code.startsWith('database.'))) throw cause;
    const now = clock.now();
    log.warn({ err: cause, task: wish.kind, target: wish.target }, 'a task on a volume failed');
    const mine = await db.transaction(async (tx) => {
      // Another process may have brought it to its end while this one stood still.
      if (!(await over(tx))) return false;
      await fail(tx, wish, cause, now);
      return true;
    });
    if (mine && wish.kind === 'reimage-volume') await tellReimaged(parts, wish.target, wish.servers, false);
  }
}

const coverOf = (row: Pick<VolumeRow, 'encryption_key_id'>) => (row.encryption_key_id === null ? 'plain' : 'locked');

/** Takes the task out of the book. False: somebody has done it. */
type Over = (tx: Query) => Promise<boolean>;
type Doer<K extends TaskWish['kind']> = (
  parts: TaskOptions,
  wish: Extract<TaskWish, { kind: K }>,
  signal: AbortSignal,
  over: Over,
) => Promise<void>;

const typeNameOf = async (db: Query, uuid: string): Promise<string> =>
  (await db.selectFrom('volume_types').select('name').where('uuid', '=', uuid).executeTakeFirst())?.name ?? uuid;

const doing: { readonly [K in TaskWish['kind']]: Doer<K> } = {
  async 'create-volume'(parts, { target }, signal, over) {
    const { db, clock, store } = parts;
    const row = await findVolume(db.read, target);
    if (row?.status !== 'creating' && row?.status !== 'downloading') return void (await db.transaction(over));
    const name = `volume-${target}` as const;
    const bytes = row.size * GIB;
    if (!(await store.has(name))) await writeData(parts, row, name, bytes, signal);
    await db.transaction(async (tx) => {
      await moveVolume(tx, target, ['creating', 'downloading'], { status: 'available', updated_at: clock.now() });
      await over(tx);
    });
  },
  async 'delete-volume'({ db, store }, { target }, _signal, over) {
    const snapshots = await db.read.selectFrom('volume_snapshots').select('uuid').where('volume_uuid', '=', target).execute();
    for (const { uuid } of snapshots) await store.remove(`snapshot-${uuid}`);
    await store.remove(`volume-${target}`);
    await db.transaction(async (tx) => {
      const row = await findVolume(tx, target);
      await over(tx);
      if (!row) return;
      const type = await typeNameOf(tx, row.type_uuid);
      const gone = await tx.deleteFrom('volume_snapshots').where('volume_uuid', '=', target).returningAll().execute();
      for (const snapshot of gone) await giveVolumeQuota(tx, snapshot.project_id, takesOf('snapshots', type, snapshot.size));
      await tx.deleteFrom('volume_attachments').where('volume_uuid', '=', target).execute();
      const done = await tx.deleteFrom('volumes').where('uuid', '=', target).executeTakeFirst();
      if (row.encryption_key_id !== null) await tx.deleteFrom('volume_keys').where('uuid', '=', row.encryption_key_id).execute();
      if (done.numDeletedRows > 0n) await giveVolumeQuota(tx, row.project_id, takesOf('volumes', type, row.size));
    });
  },
  async 'extend-volume'({ db, clock, store, grown, log }, { target, size, servers }, _signal, over) {
    const row = await findVolume(db.read, target);
    if (row) await store.extend(`volume-${target}`, size * GIB, coverOf(row));
    await db.transaction(async (tx) => {
      const status = servers.length > 0 ? 'in-use' : 'available';
      await moveVolume(tx, target, ['extending'], { status, size, updated_at: clock.now() });
      await over(tx);
    });
    if (servers.length > 0)
      await grown?.(target, servers).catch((cause) =>
        log.warn({ err: cause, volume: target }, 'compute could not be told that a volume grew'),
      );
  },
  async 'revert-volume'({ db, clock, store }, { target, snapshot }, signal, over) {
    const kept = await findSnapshot(db.read, snapshot);
    const row = await findVolume(db.read, target);
    if (kept && row) await store.copy(`snapshot-${snapshot}`, `volume-${target}`, row.size * GIB, signal, coverOf(row));
    await db.transaction(async (tx) => {
      await moveVolume(tx, target, ['reverting'], { status: 'available', updated_at: clock.now() });
      await moveSnapshot(tx, snapshot, ['restoring'], { status: 'available', updated_at: clock.now() });
      await over(tx);
    });
  },
  async 'reimage-volume'({ db, clock, store, images, reimaged, log }, { target, image, metadata, servers }, signal, over) {
    const row = await findVolume(db.read, target);
    if (row?.status !== 'downloading') return void (await db.transaction(over));
    const { diskFormat } = await images.show(image, { signal });
    const data = await images.download(image, { signal });
    try {
      await store.fill(`volume-${target}`, data, diskFormat ?? 'raw', row.size * GIB, signal, await lockOf(db.read, row.encryption_key_id));
    } finally {
      data.destroy();
    }
    await db.transaction(async (tx) => {
      const now = clock.now();
      const set = { image_id: image, image_metadata: metadata, bootable: 1, previous_status: null, updated_at: now };
      await moveVolume(tx, target, ['downloading'], { ...set, status: row.previous_status ?? 'available' });
      await over(tx);
    });
    await tellReimaged({ reimaged, log }, target, servers, true);
  },
  async 'upload-volume'({ db, clock, store, images }, { target, image, format }, signal, over) {
    const there = await images.show(image).catch((cause) => {
      if (cause instanceof CloudError && cause.kind === 'notFound') return undefined;
      throw cause;
    });
    if (there && there.status !== 'active') {
      const { data, done } = await store.read(`volume-${target}`, format, signal);
      try {
        await images.upload(image, data, { signal });
      } finally {
        await done();
      }
    }
    await db.transaction(async (tx) => {
      const row = await findVolume(tx, target);
      await moveVolume(tx, target, ['uploading'], {
        status: row?.previous_status ?? 'available',
        previous_status: null,
        updated_at: clock.now(),
      });
      await over(tx);
    });
  },
  async 'create-snapshot'({ db, clock, store }, { target }, signal, over) {
    const row = await findSnapshot(db.read, target);
    if (row?.status !== 'creating') return void (await db.transaction(over));
    const of = await findVolume(db.read, row.volume_uuid);
    await store.copy(`volume-${row.volume_uuid}`, `snapshot-${target}`, row.size * GIB, signal, of ? coverOf(of) : 'plain');
    await db.transaction(async (tx) => {
      await moveSnapshot(tx, target, ['creating'], { status: 'available', updated_at: clock.now() });
      await over(tx);
    });
  },
  async 'delete-snapshot'({ db, store }, { target }, _signal, over) {
    await store.remove(`snapshot-${target}`);
    await db.transaction(async (tx) => {
      const row = await findSnapshot(tx, target);
      await over(tx);
      if (!row) return;
      const volume = await findVolume(tx, row.volume_uuid);
      const type = volume ? await typeNameOf(tx, volume.type_uuid) : '';
      const done = await tx.deleteFrom('volume_snapshots').where('uuid', '=', target).executeTakeFirst();
      if (done.numDeletedRows > 0n) await giveVolumeQuota(tx, row.project_id, takesOf('snapshots', type, row.size));
    });
  },
};

const tellReimaged = async (
  { reimaged, log }: Pick<TaskOptions, 'reimaged' | 'log'>,
  volume: string,
  servers: readonly string[],
  done: boolean,
): Promise<void> => {
  if (servers.length > 0)
    await reimaged?.(volume, servers, done).catch((cause) => log.warn({ err: cause, volume }, 'compute could not be told of a new image'));
};

/** A new volume's data: from a snapshot, another volume, an image, or nothing. */
async function writeData(parts: TaskOptions, row: VolumeRow, name: `volume-${string}`, bytes: number, signal: AbortSignal): Promise<void> {
  const { db, clock, store, images } = parts;
  if (row.snapshot_uuid !== null) return store.copy(`snapshot-${row.snapshot_uuid}`, name, bytes, signal, coverOf(row));
  if (row.source_uuid !== null) return store.copy(`volume-${row.source_uuid}`, name, bytes, signal, coverOf(row));
  const lock = await lockOf(db.read, row.encryption_key_id);
  if (row.image_id === null) return store.blank(name, bytes, lock);
  const now = clock.now();
  await db.transaction((tx) => moveVolume(tx, row.uuid, ['creating'], { status: 'downloading', updated_at: now }));
  const image = await images.show(row.image_id, { signal });
  const data = await images.download(row.image_id, { signal });
  try {
    await store.fill(name, data, image.diskFormat ?? 'raw', bytes, signal, lock);
  } finally {
    data.destroy();
  }
}

/** What a task that cannot be done leaves behind: the state says so, and a message says why. */
async function fail(tx: Query, wish: TaskWish, cause: unknown, now: number): Promise<void> {
  const { kind, target } = wish;
  const why = cause instanceof CloudError ? cause.message : 'Something unexpected happened; the log of the volume service has it.';
  const snapshot = kind.endsWith('-snapshot');
  const row = snapshot ? await findSnapshot(tx, target) : await findVolume(tx, target);
  if (!row) return;
  if (kind === 'create-volume') await moveVolume(tx, target, 'any', { status: 'error', updated_at: now });
  if (kind === 'delete-volume') await moveVolume(tx, target, 'any', { status: 'error_deleting', updated_at: now });
  if (kind === 'extend-volume') {
    await moveVolume(tx, target, 'any', { status: 'error_extending', updated_at: now });
    const grownBy = wish.size - row.size;
    const type = await typeNameOf(tx, 'type_uuid' in row ? row.type_uuid : '');
    await giveVolumeQuota(tx, row.project_id, [
      ['gigabytes', grownBy],
      [`gigabytes_${type}`, grownBy],
    ]);
  }
  if (kind === 'reimage-volume') await moveVolume(tx, target, 'any', { status: 'error', previous_status: null, updated_at: now });
  if (kind === 'revert-volume') {
    await moveVolume(tx, target, 'any', { status: 'error', updated_at: now });
    await moveSnapshot(tx, wish.snapshot, ['restoring'], { status: 'available', updated_at: now });
  }
  if (kind === 'upload-volume') {
    const back = 'previous_status' in row ? row.previous_status : null;
    await moveVolume(tx, target, ['uploading'], { status: back ?? 'available', previous_status: null, updated_at: now });
  }
  if (kind === 'create-snapshot') await moveSnapshot(tx, target, 'any', { status: 'error', updated_at: now });
  if (kind === 'delete-snapshot') await moveSnapshot(tx, target, 'any', { status: 'error_deleting', updated_at: now });
  await tx
    .insertInto('volume_messages')
    .values({
      uuid: newUuid(),
      project_id: row.project_id,
      resource_type: snapshot ? 'VOLUME_SNAPSHOT' : 'VOLUME',
      resource_uuid: target,
      event_id: `VOLUME_${kind.toUpperCase().replaceAll('-', '_')}`,
      request_id: null,
      message: `${kind.split('-')[0]}: ${why}`,
      created_at: now,
    })
    .execute();
}
