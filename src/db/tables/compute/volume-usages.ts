import { sql } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** What a hypervisor has counted since the guest or the attachment began. */
export interface VolumeCounts {
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writeBytes: number;
}
const columns = { reads: 'reads', readBytes: 'read_bytes', writes: 'writes', writeBytes: 'write_bytes' } as const;
const names = Object.keys(columns) as (keyof VolumeCounts)[]; // of the literal above

/** Keeps a count. One that is lower than the last began anew, and what the last one came to is added to what was earlier. A late word changes nothing. */
export async function countVolume(
  tx: Query,
  kind: EngineKind,
  at: { readonly volumeId: string; readonly serverUuid: string; readonly now: Micros },
  counts: VolumeCounts,
): Promise<void> {
  const now = {
    counted_at: at.now,
    reads: counts.reads,
    read_bytes: counts.readBytes,
    writes: counts.writes,
    write_bytes: counts.writeBytes,
  };
  const known = await tx
    .selectFrom('volume_usages')
    .selectAll()
    .where('volume_id', '=', at.volumeId)
    .where('server_uuid', '=', at.serverUuid)
    .executeTakeFirst();
  if (!known) {
    const nothing = { earlier_reads: 0, earlier_read_bytes: 0, earlier_writes: 0, earlier_write_bytes: 0 };
    const key = { volume_id: at.volumeId, server_uuid: at.serverUuid };
    await insertIgnore(tx, kind, 'volume_usages', { ...key, ...now, ...nothing }, ['volume_id', 'server_uuid']);
    return;
  }
  if (known.counted_at >= at.now) return;
  const anew = names.some((name) => counts[name] < known[columns[name]]);
  const earlier = {
    earlier_reads: known.earlier_reads + known.reads,
    earlier_read_bytes: known.earlier_read_bytes + known.read_bytes,
    earlier_writes: known.earlier_writes + known.writes,
    earlier_write_bytes: known.earlier_write_bytes + known.write_bytes,
  };
  await tx
    .updateTable('volume_usages')
    .set({ ...now, ...(anew ? earlier : {}) })
    .where('volume_id', '=', at.volumeId)
    .where('server_uuid', '=', at.serverUuid)
    .where('counted_at', '=', known.counted_at)
    .execute();
}

/** What volumes were used for by all guests together, ever since they were first counted. */
export async function volumeTotals(db: Query, volumeIds: readonly string[]): Promise<Map<string, VolumeCounts>> {
  if (volumeIds.length === 0) return new Map();
  const total = (column: string) => sql<number | string>`sum(${sql.ref(column)} + ${sql.ref(`earlier_${column}`)})`;
  const rows = await db
    .selectFrom('volume_usages')
    .select([
      'volume_id',
      total('reads').as('all_reads'),
      total('read_bytes').as('all_read_bytes'),
      total('writes').as('all_writes'),
      total('write_bytes').as('all_write_bytes'),
    ])
    .where('volume_id', 'in', volumeIds)
    .groupBy('volume_id')
    .execute();
  return new Map(
    rows.map((row) => [
      row.volume_id,
      {
        reads: Number(row.all_reads),
        readBytes: Number(row.all_read_bytes),
        writes: Number(row.all_writes),
        writeBytes: Number(row.all_write_bytes),
      },
    ]),
  );
}
