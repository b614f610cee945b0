import { isUuid } from '../lib/ids.ts';
import { CloudError } from '../model/errors.ts';
import { volumeServiceAbsent } from '../model/errors-volume.ts';
import type { Neighbour } from './neighbour.ts';

/** Asks with this token instead of the service's own: what its owner may not see is then a 404. */
export interface AskVolumeAs {
  readonly token?: string;
  readonly signal?: AbortSignal;
}
/** A volume, as other services need to know it. */
export interface VolumeInfo {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: string;
  readonly sizeGiB: number;
  readonly bootable: boolean;
  readonly multiattach: boolean;
  /** Null: nobody moves it. `target:<id>`: it is what that volume becomes. */
  readonly migrationStatus: string | null;
  readonly zone: string;
  readonly projectId: string | null;
  readonly typeName: string | null;
  readonly snapshotId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** What its image said: properties, min_ram ... Empty for a volume without. */
  readonly imageMetadata: Readonly<Record<string, string>>;
  readonly attachments: readonly { readonly id: string; readonly serverId: string | null; readonly device: string | null }[];
  /** As the service prints it. */
  readonly createdAt: string;
}
export interface VolumeSnapshotInfo {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: string;
  readonly sizeGiB: number;
  readonly volumeId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAt: string;
}
export interface VolumeWish {
  /** Whose it shall be. */
  readonly projectId: string;
  readonly sizeGiB: number;
  readonly name?: string;
  readonly description?: string;
  readonly imageId?: string;
  readonly snapshotId?: string;
  readonly type?: string;
  readonly zone?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Requests with the same key make one volume. */
  readonly key?: string;
}
/** How a host reaches an attached volume, in the driver's words: `{ driver_volume_type: 'file', data: { device_path, format } }`. */
export interface VolumeConnection extends Readonly<Record<string, unknown>> {
  readonly driver_volume_type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The block storage service, as other services need it. Errors are CloudErrors with the kind of the status and code `volume.answered_<status>`.
 *  Without such a service every call throws volumeServiceAbsent. */
export interface VolumeClient {
  show(id: string, as?: AskVolumeAs): Promise<VolumeInfo>;
  list(as?: AskVolumeAs): Promise<VolumeInfo[]>;
  create(wish: VolumeWish, as?: AskVolumeAs): Promise<VolumeInfo>;
  /** Begins the deletion; fine when it is gone. */
  remove(id: string, as?: AskVolumeAs): Promise<void>;
  showSnapshot(id: string, as?: AskVolumeAs): Promise<VolumeSnapshotInfo>;
  listSnapshots(as?: AskVolumeAs): Promise<VolumeSnapshotInfo[]>;
  createSnapshot(
    wish: {
      readonly volumeId: string;
      readonly name: string | null;
      readonly description: string | null;
      readonly force: boolean;
      /** Whose it shall be; the asker's own project when absent. */
      readonly projectId?: string;
      readonly metadata?: Readonly<Record<string, string>>;
    },
    as?: AskVolumeAs,
  ): Promise<VolumeSnapshotInfo>;
  /** Every snapshot of a volume, whoever took it. */
  snapshotsOf(volumeId: string): Promise<VolumeSnapshotInfo[]>;
  removeSnapshot(id: string, as?: AskVolumeAs): Promise<void>;
  setSnapshotStatus(id: string, status: string): Promise<void>;
  /** Names and ids of types the asker may use. */
  types(as?: AskVolumeAs): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Sets a volume aside for a server; answers the attachment's id. Throws `invalid` when it is not free. */
  reserve(volumeId: string, serverId: string, as?: AskVolumeAs): Promise<string>;
  /** Joins an attachment to a host. Safe to repeat. */
  connect(attachmentId: string, connector: Readonly<Record<string, unknown>>): Promise<VolumeConnection>;
  /** The guest has it. Safe to repeat. */
  complete(attachmentId: string): Promise<void>;
  /** Ends an attachment; fine when it is gone. */
  release(attachmentId: string): Promise<void>;
  /** Attachments that servers have of volumes: to find what a death half way left. */
  attachmentsOf(serverId: string): Promise<readonly { readonly id: string; readonly volumeId: string }[]>;
  /** What opens an encrypted volume. Told to services of this cloud alone. Throws `notFound` for a plain one. */
  secretOf(volumeId: string): Promise<string>;
  beginDetaching(volumeId: string, as?: AskVolumeAs): Promise<void>;
  /** Fine when it is not being detached. */
  rollDetaching(volumeId: string): Promise<void>;
  /** Begins to write an image over a volume that is set aside for a server and that no guest uses. */
  reimage(volumeId: string, imageId: string): Promise<void>;
  /** A server has the new volume in place of the one that is being moved; answers the id under which it goes on. */
  completeMigration(volumeId: string, newVolumeId: string): Promise<string>;
}

type Json = Readonly<Record<string, unknown>>;
/** The oldest version that has all we ask for. */
const VERSION = { 'openstack-api-version': 'volume 3.44' };
const textOf = (from: Json, name: string) => (typeof from[name] === 'string' ? from[name] : null);
const wordsOf = (value: unknown) =>
  Object.fromEntries(Object.entries((value ?? {}) as Json).flatMap(([key, one]) => (typeof one === 'string' ? [[key, one]] : [])));
const kindOf = (cause: unknown) => (cause instanceof CloudError ? cause.kind : undefined);

function volumeFrom(body: unknown): VolumeInfo {
  const seen = (body ?? {}) as Json;
  const id = textOf(seen, 'id');
  if (id === null) throw nonsense();
  const attachments = Array.isArray(seen.attachments) ? (seen.attachments as Json[]) : [];
  return {
    id,
    name: textOf(seen, 'name'),
    description: textOf(seen, 'description'),
    status: textOf(seen, 'status') ?? '',
    sizeGiB: Number(seen.size ?? 0),
    bootable: String(seen.bootable).toLowerCase() === 'true',
    multiattach: seen.multiattach === true,
    migrationStatus: textOf(seen, 'migration_status') || textOf(seen, 'os-vol-mig-status-attr:migstat') || null,
    zone: textOf(seen, 'availability_zone') ?? '',
    projectId: textOf(seen, 'os-vol-tenant-attr:tenant_id'),
    typeName: textOf(seen, 'volume_type'),
    snapshotId: textOf(seen, 'snapshot_id'),
    metadata: wordsOf(seen.metadata),
    imageMetadata: wordsOf(seen.volume_image_metadata),
    attachments: attachments.map((one) => ({
      id: textOf(one, 'attachment_id') ?? '',
      serverId: textOf(one, 'server_id'),
      device: textOf(one, 'device'),
    })),
    createdAt: textOf(seen, 'created_at') ?? '',
  };
}
function snapshotFrom(body: unknown): VolumeSnapshotInfo {
  const seen = (body ?? {}) as Json;
  const id = textOf(seen, 'id');
  if (id === null) throw nonsense();
  return {
    id,
    name: textOf(seen, 'name'),
    description: textOf(seen, 'description'),
    status: textOf(seen, 'status') ?? '',
    sizeGiB: Number(seen.size ?? 0),
    volumeId: textOf(seen, 'volume_id') ?? '',
    metadata: wordsOf(seen.metadata),
    createdAt: textOf(seen, 'created_at') ?? '',
  };
}
const nonsense = () =>
  new CloudError('volume.nonsense', 'badGateway', 'The block storage service answered something that was not asked for.');

export function volumeClient(service: Neighbour | null): VolumeClient {
  const ask = async (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    as: AskVolumeAs = {},
    headers: Record<string, string> = {},
  ) => {
    if (!service) throw volumeServiceAbsent({});
    const answer = await service.ask<Json | undefined>(method, path, {
      headers: { ...VERSION, ...headers },
      ...(body === undefined ? {} : { body }),
      ...(as.token ? { token: as.token } : {}),
      ...(as.signal ? { signal: as.signal } : {}),
    });
    return answer.body ?? {};
  };
  /** Things there have uuids; another word, as `detail`, is a path of its own and would be answered by something else. */
  const at = (noun: string, id: string, rest = ''): string => {
    if (isUuid(id)) return `/${noun}/${id}${rest}`;
    throw new CloudError('volume.answered_404', 'notFound', 'There is nothing of that id in the block storage service.', { status: 404 });
  };
  const act = async (id: string, action: Json, as?: AskVolumeAs, headers?: Record<string, string>) =>
    ask('POST', at('volumes', id, '/action'), action, as, headers);
  /** Every page of a list. */
  const all = async (noun: string, words: Record<string, string>, as?: AskVolumeAs): Promise<Json[]> => {
    const found: Json[] = [];
    for (let marker: string | undefined; ; ) {
      const query = new URLSearchParams({ ...words, limit: '1000', ...(marker === undefined ? {} : { marker }) });
      const page = (await ask('GET', `/${noun}/detail?${query}`, undefined, as))[noun];
      if (!Array.isArray(page)) throw nonsense();
      found.push(...(page as Json[]));
      marker = page.length < 1000 ? undefined : (textOf(page.at(-1) as Json, 'id') ?? undefined);
      if (marker === undefined) return found;
    }
  };
  const gone = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((cause) => {
      if (kindOf(cause) !== 'notFound') throw cause;
    });
  };
  return {
    show: async (id, as) => volumeFrom((await ask('GET', at('volumes', id), undefined, as)).volume),
    list: async (as) => (await all('volumes', {}, as)).map(volumeFrom),
    async create(wish, as) {
      const volume = {
        size: wish.sizeGiB,
        ...(wish.name === undefined ? {} : { name: wish.name }),
        ...(wish.description === undefined ? {} : { description: wish.description }),
        ...(wish.imageId === undefined ? {} : { imageRef: wish.imageId }),
        ...(wish.snapshotId === undefined ? {} : { snapshot_id: wish.snapshotId }),
        ...(wish.type === undefined ? {} : { volume_type: wish.type }),
        ...(wish.zone === undefined ? {} : { availability_zone: wish.zone }),
        ...(wish.metadata === undefined ? {} : { metadata: wish.metadata }),
      };
      const headers: Record<string, string> = wish.key === undefined ? {} : { 'idempotency-key': wish.key };
      return volumeFrom((await ask('POST', `/${encodeURIComponent(wish.projectId)}/volumes`, { volume }, as, headers)).volume);
    },
    remove: async (id, as) => gone(ask('DELETE', at('volumes', id), undefined, as)),
    showSnapshot: async (id, as) => snapshotFrom((await ask('GET', at('snapshots', id), undefined, as)).snapshot),
    listSnapshots: async (as) => (await all('snapshots', {}, as)).map(snapshotFrom),
    async createSnapshot({ volumeId, name, description, force, projectId, metadata }, as) {
      const snapshot = { volume_id: volumeId, name, description, force, ...(metadata ? { metadata } : {}) };
      const project = projectId === undefined ? '' : `/${encodeURIComponent(projectId)}`;
      return snapshotFrom((await ask('POST', `${project}/snapshots`, { snapshot }, as)).snapshot);
    },
    snapshotsOf: async (volumeId) => (await all('snapshots', { all_tenants: '1', volume_id: volumeId })).map(snapshotFrom),
    removeSnapshot: async (id, as) => void (await ask('DELETE', at('snapshots', id), undefined, as)),
    setSnapshotStatus: async (id, status) =>
      void (await ask('POST', at('snapshots', id, '/action'), { 'os-update_snapshot_status': { status, progress: '100%' } })),
    async types(as) {
      const found = (await ask('GET', '/types?is_public=None', undefined, as)).volume_types;
      if (!Array.isArray(found)) throw nonsense();
      return (found as Json[]).map((one) => ({ id: textOf(one, 'id') ?? '', name: textOf(one, 'name') ?? '' }));
    },
    async reserve(volumeId, serverId, as) {
      const { attachment } = await ask('POST', '/attachments', { attachment: { volume_uuid: volumeId, instance_uuid: serverId } }, as);
      const id = textOf((attachment ?? {}) as Json, 'id');
      if (id === null) throw nonsense();
      return id;
    },
    async connect(id, connector) {
      const { attachment } = await ask('PUT', at('attachments', id), { attachment: { connector } });
      const { driver_volume_type, ...data } = ((attachment as Json | undefined)?.connection_info ?? {}) as Json;
      // Whether others write to it too is said of the volume, not of its attachment; hypervisors need to know.
      const volumeId = textOf((attachment ?? {}) as Json, 'volume_id');
      const { volume } = volumeId === null ? {} : await ask('GET', at('volumes', volumeId));
      const shared = (volume as Json | undefined)?.multiattach === true;
      return { driver_volume_type: String(driver_volume_type ?? ''), data, ...(shared ? { multiattach: true } : {}) };
    },
    complete: async (id) => void (await ask('POST', at('attachments', id, '/action'), { 'os-complete': {} })),
    release: async (id) => gone(ask('DELETE', at('attachments', id))),
    async attachmentsOf(serverId) {
      const query = new URLSearchParams({ all_tenants: '1', instance_id: serverId });
      const found = (await ask('GET', `/attachments/detail?${query}`)).attachments;
      if (!Array.isArray(found)) throw nonsense();
      return (found as Json[]).map((one) => ({ id: textOf(one, 'id') ?? '', volumeId: textOf(one, 'volume_id') ?? '' }));
    },
    async secretOf(volumeId) {
      const secret = textOf(await ask('GET', at('volumes', volumeId, '/encryption/secret')), 'secret');
      if (secret === null) throw nonsense();
      return secret;
    },
    beginDetaching: async (id, as) => void (await act(id, { 'os-begin_detaching': {} }, as)),
    async rollDetaching(id) {
      await act(id, { 'os-roll_detaching': {} }).catch((cause) => {
        if (kindOf(cause) !== 'invalid' && kindOf(cause) !== 'notFound') throw cause;
      });
    },
    async reimage(id, imageId) {
      const headers = { 'openstack-api-version': 'volume 3.68' };
      await act(id, { 'os-reimage': { image_id: imageId, reimage_reserved: true } }, {}, headers);
    },
    async completeMigration(id, next) {
      const answer = await act(id, { 'os-migrate_volume_completion': { new_volume: next, error: false } });
      return textOf(answer, 'save_volume_id') ?? next;
    },
  };
}
