import { type AttachmentRow, attachmentsOf, findAttachment } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { volumeAttachmentNotFound, volumeNotFound, volumeUsedByServer } from '../../model/errors-volume.ts';
import { connect, lockVolume, reserve, settle } from './attaching.ts';
import { seenAttachment, seenVolume } from './find.ts';
import { type Listing, listRows, TIMES } from './list.ts';
import type { VolumeParts } from './parts.ts';
import type { AttachmentCreate, Connector } from './shapes.ts';
import { attachmentView } from './views.ts';

const listing: Listing = {
  table: 'volume_attachments',
  path: 'attachments',
  filters: {
    volume_id: ['volume_uuid', 'text'],
    instance_id: ['server_uuid', 'text'],
    instance_uuid: ['server_uuid', 'text'],
    status: ['status', 'text'],
    attach_status: ['status', 'text'],
    attachment_id: ['uuid', 'text'],
  },
  sorts: { created_at: TIMES.created_at, id: 'uuid' },
};

export const listAttachments =
  (detail: boolean) =>
  async (parts: VolumeParts, call: Call): Promise<Reply> => {
    const { rows } = await listRows<AttachmentRow>(parts, call, listing);
    return { status: 200, body: { attachments: rows.map((row) => attachmentView(row, detail)) } };
  };

export async function showAttachment(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { attachment: attachmentView(await seenAttachment(parts, call)) } };
}

const isService = (call: Call) => call.allows('acts_for_projects');

/** Sets a volume aside for a server; with a connector it is joined to that host at once. Throws volumeInvalid (400).
 *  Spec: block storage api-ref "Create attachment". */
export async function createAttachment(parts: VolumeParts, call: Call<AttachmentCreate>): Promise<Reply> {
  const wish = call.body.attachment;
  const volume = await seenVolume(parts, call, { id: wish.volume_uuid });
  const now = parts.clock.now();
  const mode = wish.mode ?? (wish.connector?.mode === 'ro' ? 'ro' : 'rw');
  const uuid = await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, volume.uuid, now);
    if (!row) throw volumeNotFound({ id: volume.uuid });
    const made = await reserve(tx, row, { server: wish.instance_uuid ?? null, mode, byService: isService(call) }, now);
    if (wish.connector && Object.keys(wish.connector).length > 0) {
      const attachment = await findAttachment(tx, made);
      if (attachment) await connect(parts, tx, row, attachment, wish.connector, now);
    }
    return made;
  });
  return show(parts, uuid);
}

async function show({ db }: VolumeParts, uuid: string): Promise<Reply> {
  const row = await findAttachment(db.read, uuid);
  if (!row) throw volumeAttachmentNotFound({ id: uuid });
  return { status: 200, body: { attachment: attachmentView(row) } };
}

/** Joins the attachment to the host its connector names.  Spec: block storage api-ref "Update an attachment". */
export async function updateAttachment(parts: VolumeParts, call: Call<{ attachment: { connector: Connector } }>): Promise<Reply> {
  const seen = await seenAttachment(parts, call);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, seen.volume_uuid, now);
    const attachment = await findAttachment(tx, seen.uuid);
    if (!row || !attachment) throw volumeAttachmentNotFound({ id: seen.uuid });
    await connect(parts, tx, row, attachment, call.body.attachment.connector, now);
  });
  return show(parts, seen.uuid);
}

/** The host has it: the volume is in use.  Spec: block storage api-ref "Complete attachment". */
export async function completeAttachment(parts: VolumeParts, call: Call): Promise<Reply> {
  const seen = await seenAttachment(parts, call);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, seen.volume_uuid, now);
    if (!row) throw volumeAttachmentNotFound({ id: seen.uuid });
    await tx.updateTable('volume_attachments').set({ status: 'attached', attached_at: now }).where('uuid', '=', seen.uuid).execute();
    await settle(tx, row, now);
  });
  return { status: 204 };
}

/** Ends an attachment; answers those that remain. One that another service made for a server, that service alone may end.
 *  Throws volumeUsedByServer (409).  Spec: block storage api-ref "Delete attachment". */
export async function deleteAttachment(parts: VolumeParts, call: Call): Promise<Reply> {
  const seen = await seenAttachment(parts, call);
  mustBeFree(call, seen);
  const now = parts.clock.now();
  const left = await parts.db.transaction(async (tx) => {
    const row = await lockVolume(tx, seen.volume_uuid, now);
    await tx.deleteFrom('volume_attachments').where('uuid', '=', seen.uuid).execute();
    if (row) await settle(tx, row, now);
    return attachmentsOf(tx, [seen.volume_uuid]);
  });
  return { status: 200, body: { attachments: left.map((row) => attachmentView(row, false)) } };
}

export function mustBeFree(call: Call, attachment: Pick<AttachmentRow, 'by_service' | 'server_uuid'>): void {
  if (attachment.by_service === 1 && attachment.server_uuid !== null && !isService(call))
    throw volumeUsedByServer({ server: attachment.server_uuid });
}
