import { atLeast, body, type Infer, leaf, required, type Shape, since, type Version } from '../../../lib/shape.ts';
import { query, texts } from './query.ts';
import { flag, str, tag, uuid } from './server-common.ts';

const device = leaf<string | null>({
  type: ['string', 'null'],
  oneOf: [{ type: 'null' }, { type: 'string', pattern: '(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$' }],
});

/** POST os-volume_attachments.  Spec: compute api-ref "Attach a volume to an instance". */
export const attachVolume = body({
  volumeAttachment: required(
    body({ volumeId: required(uuid), device, tag: since('2.49', tag), delete_on_termination: since('2.79', flag) }),
  ),
});
export type AttachVolume = Infer<typeof attachVolume>;

/** PUT os-volume_attachments: another volume, or from 2.85 on what becomes of this one. */
export const updateAttachment = body({
  volumeAttachment: required(
    body({
      volumeId: required(uuid),
      id: since('2.85', uuid),
      serverId: since('2.85', uuid),
      device: since('2.85', device),
      tag: since('2.85', leaf<string | null>({ type: ['string', 'null'], maxLength: 60 })),
      delete_on_termination: since('2.85', flag),
    }),
  ),
});
export type UpdateAttachment = Infer<typeof updateAttachment>;

// Bodies of the block storage service's older face, to 2.35.
const text = leaf<string | null>({ type: ['string', 'null'], maxLength: 255 });
export const volumeCreate = body({
  volume: required(
    body({
      volume_type: text,
      metadata: leaf<Record<string, string> | null>({ type: ['object', 'null'], additionalProperties: { type: 'string' } }),
      snapshot_id: str({ format: 'uuid' }),
      size: required(leaf<number | string>({ type: ['integer', 'string'], pattern: '^[0-9]+$', minimum: 1, minLength: 1 })),
      availability_zone: text,
      display_name: text,
      display_description: text,
    }),
  ),
});
export type VolumeCreate = Infer<typeof volumeCreate>;
export const snapshotCreate = body({
  snapshot: required(body({ volume_id: required(str()), force: flag, display_name: text, display_description: text })),
});
export type SnapshotCreate = Infer<typeof snapshotCreate>;
export const assistedSnapshot = body({
  snapshot: required(
    body({
      volume_id: required(str({ minLength: 1 })),
      create_info: required(
        body(
          {
            snapshot_id: required(str({ minLength: 1 })),
            type: required(str({ enum: ['qcow2'] })),
            new_file: required(str({ minLength: 1 })),
            id: str({ minLength: 1 }),
          },
          { additionalProperties: false },
        ),
      ),
    }),
  ),
});
export type AssistedSnapshot = Infer<typeof assistedSnapshot>;

/** Query of the end of such a snapshot: JSON that names the volume. */
export const assistedDelete = query({ delete_info: texts() }, '2.75');

const words = { type: 'array' };
/** Query of the list of volume attachments: pages; other words are refused from 2.75 on. */
export const pages: Shape<object> = {
  ...leaf<object>({}),
  edges: ['2.75'],
  schema: (version: Version) => ({
    type: 'object',
    properties: { limit: words, offset: words },
    ...(atLeast(version, '2.75') ? { additionalProperties: false } : {}),
  }),
};
