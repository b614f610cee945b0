import type { Query } from '../../db/engine.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { volumeMetadataNotFound } from '../../model/errors-volume.ts';
import { seenSnapshot, seenVolume, wordsOf } from './find.ts';
import type { VolumeParts } from './parts.ts';
import type { Words } from './shapes.ts';

type Table = 'volumes' | 'volume_snapshots';
const seen = (table: Table, parts: VolumeParts, call: Call) => (table === 'volumes' ? seenVolume(parts, call) : seenSnapshot(parts, call));

/** Changes metadata with its row locked, so that two changes at once both last. */
async function change(parts: VolumeParts, table: Table, uuid: string, how: (words: Record<string, string>) => Record<string, string>) {
  const now = parts.clock.now();
  return parts.db.transaction(async (tx: Query) => {
    await tx.updateTable(table).set({ updated_at: now }).where('uuid', '=', uuid).execute();
    const row = await tx.selectFrom(table).select('metadata').where('uuid', '=', uuid).executeTakeFirst();
    const words = how(wordsOf(row?.metadata ?? '{}'));
    await tx
      .updateTable(table)
      .set({ metadata: JSON.stringify(words) })
      .where('uuid', '=', uuid)
      .execute();
    return words;
  });
}

/** The six handlers of one noun's metadata.  Spec: block storage api-ref "Create metadata for volume" and what follows. */
export const metadataOf = (table: Table) => ({
  async list(parts: VolumeParts, call: Call): Promise<Reply> {
    return { status: 200, body: { metadata: wordsOf((await seen(table, parts, call)).metadata) } };
  },
  async add(parts: VolumeParts, call: Call<{ metadata: Words }>): Promise<Reply> {
    const { uuid } = await seen(table, parts, call);
    return { status: 200, body: { metadata: await change(parts, table, uuid, (words) => ({ ...words, ...call.body.metadata })) } };
  },
  async replace(parts: VolumeParts, call: Call<{ metadata: Words }>): Promise<Reply> {
    const { uuid } = await seen(table, parts, call);
    return { status: 200, body: { metadata: await change(parts, table, uuid, () => ({ ...call.body.metadata })) } };
  },
  async show(parts: VolumeParts, call: Call): Promise<Reply> {
    const row = await seen(table, parts, call);
    const key = call.params.key ?? '';
    const value = wordsOf(row.metadata)[key];
    if (value === undefined) throw volumeMetadataNotFound({ id: row.uuid, key });
    return { status: 200, body: { meta: { [key]: value } } };
  },
  async set(parts: VolumeParts, call: Call<{ meta: Words }>): Promise<Reply> {
    const { uuid } = await seen(table, parts, call);
    const key = call.params.key ?? '';
    if (!Object.hasOwn(call.body.meta, key)) throw invalidInput({ why: 'Request body and URI mismatch' });
    await change(parts, table, uuid, (words) => ({ ...words, ...call.body.meta }));
    return { status: 200, body: { meta: call.body.meta } };
  },
  async remove(parts: VolumeParts, call: Call): Promise<Reply> {
    const { uuid } = await seen(table, parts, call);
    const key = call.params.key ?? '';
    await change(parts, table, uuid, (words) => {
      if (words[key] === undefined) throw volumeMetadataNotFound({ id: uuid, key });
      return Object.fromEntries(Object.entries(words).filter(([name]) => name !== key));
    });
    return { status: 200 };
  },
});
