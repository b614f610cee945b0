import type { Query } from '../../db/engine.ts';
import { type AttachmentRow, attachmentsOf, findVolume, moveVolume, statusOf, type VolumeRow } from '../../db/tables/volume/volumes.ts';
import { newUuid } from '../../lib/ids.ts';
import { volumeInvalid } from '../../model/errors-volume.ts';
import type { VolumeParts } from './parts.ts';
import type { Connector } from './shapes.ts';

/** States a volume is in by its attachments alone. */
const BY_ATTACHMENTS = ['available', 'reserved', 'attaching', 'in-use', 'detaching'];
/** Whether somebody moves its data elsewhere just now. */
export const isMigrating = ({ migration_status: status }: Pick<VolumeRow, 'migration_status'>): boolean =>
  status !== null && !['deleting', 'error', 'success'].includes(status);
export interface Asker {
  readonly server: string | null;
  readonly mode: 'rw' | 'ro';
  readonly byService: boolean;
}

/** Takes the volume's row for the rest of the transaction and answers it as it is now. */
export async function lockVolume(tx: Query, uuid: string, now: number): Promise<VolumeRow | undefined> {
  return (await moveVolume(tx, uuid, 'any', { updated_at: now })) ? findVolume(tx, uuid) : undefined;
}

/** Puts the volume's state right after its attachments changed. */
export async function settle(tx: Query, row: VolumeRow, now: number): Promise<void> {
  const status = statusOf(await attachmentsOf(tx, [row.uuid]));
  if (!(await moveVolume(tx, row.uuid, BY_ATTACHMENTS, { status, updated_at: now })))
    await moveVolume(tx, row.uuid, ['uploading'], { previous_status: status }); // it goes there when the upload is over
}

/** Sets a volume aside for a server. One that may be attached once must be available, or that very server's already (it moves to another host).
 *  Throws volumeInvalid (400). */
export async function reserve(
  tx: Query,
  locked: VolumeRow,
  asker: Asker,
  now: number,
  first: Partial<Pick<AttachmentRow, 'status' | 'mountpoint' | 'host' | 'attached_at'>> = {},
): Promise<string> {
  const attachments = await attachmentsOf(tx, [locked.uuid]);
  const free =
    locked.multiattach === 1 ? ['available', 'in-use', 'reserved', 'attaching'] : first.status ? ['available', 'attaching'] : ['available'];
  const same =
    asker.server !== null &&
    attachments.some((one) => one.server_uuid === asker.server) &&
    ['in-use', 'reserved', 'attaching'].includes(locked.status);
  if (!free.includes(locked.status) && !same)
    throw volumeInvalid({
      why: `Volume ${locked.uuid} status must be ${locked.multiattach === 1 ? 'available or in-use' : 'available'} to reserve, but the current status is ${locked.status}.`,
    });
  if (locked.readonly === 1 && asker.mode !== 'ro' && first.status)
    throw volumeInvalid({ why: `Volume ${locked.uuid} is read-only and can be attached with mode 'ro' only.` });
  const uuid = newUuid();
  await tx
    .insertInto('volume_attachments')
    .values({
      uuid,
      volume_uuid: locked.uuid,
      project_id: locked.project_id,
      server_uuid: asker.server,
      status: first.status ?? 'reserved',
      mode: locked.readonly === 1 ? 'ro' : asker.mode,
      mountpoint: first.mountpoint ?? null,
      host: first.host ?? null,
      connector: null,
      connection: null,
      by_service: asker.byService ? 1 : 0,
      attached_at: first.attached_at ?? null,
      created_at: now,
    })
    .execute();
  if (!same) await settle(tx, locked, now);
  return uuid;
}

/** How a host reaches the volume: it is a file of this machine.  */
export const connectionOf = ({ store }: VolumeParts, row: VolumeRow, mode: string) => ({
  driver_volume_type: 'file',
  data: {
    device_path: store.path(`volume-${row.uuid}`),
    format: 'raw',
    access_mode: mode,
    encrypted: row.encryption_key_id !== null,
    qos_specs: null,
    volume_id: row.uuid,
  },
});

/** Joins an attachment to a host: from here on it has a connection. */
export async function connect(
  parts: VolumeParts,
  tx: Query,
  row: VolumeRow,
  attachment: Pick<AttachmentRow, 'uuid' | 'mode' | 'status'>,
  connector: Connector,
  now: number,
): Promise<void> {
  const { driver_volume_type, data } = connectionOf(parts, row, attachment.mode);
  const word = (name: string) => (typeof connector[name] === 'string' ? connector[name].slice(0, 255) : null);
  await tx
    .updateTable('volume_attachments')
    .set({
      status: attachment.status === 'attached' ? 'attached' : 'attaching',
      connector: JSON.stringify(connector),
      connection: JSON.stringify({ driver_volume_type, ...data, attachment_id: attachment.uuid }),
      host: word('host'),
      mountpoint: word('mountpoint'),
    })
    .where('uuid', '=', attachment.uuid)
    .execute();
  await settle(tx, row, now);
}
