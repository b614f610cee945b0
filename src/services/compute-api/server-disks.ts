import type { VolumeInfo } from '../../clients/volume.ts';
import { freeDeviceName, type NewBlockDevice } from '../../db/tables/compute/block-devices.ts';
import type { Call } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError } from '../../model/errors.ts';
import {
  blockVolumeMissing,
  multiattachTooOld,
  snapshotUnknown,
  volumeForMany,
  volumeNotBootable,
  volumeTooSmall,
  volumeTypeUnknown,
  volumeUnfit,
} from '../../model/errors-block-devices.ts';
import { flavorMemoryTooSmall, imageNotActive, imageUnknown } from '../../model/errors-compute.ts';
import type { Flavor, ImageSnapshot, ServerVolume } from '../../model/server.ts';
import { type DeviceWish, devicesOfImage, wishedDevices } from './block-device-wish.ts';
import { volumesAreShared } from './microversions.ts';
import type { Asker, ServerImage, ServerParts } from './server-parts.ts';
import { wishedImage } from './server-wish.ts';
import type { ServerWish } from './shapes/server-create.ts';

/** What a create has settled of its disks. */
export interface Disks {
  /** Null for volume-backed servers. */
  readonly imageId: string | null;
  readonly image: ImageSnapshot | null;
  readonly autoDiskConfig: boolean;
  readonly rootDeviceName: string | null;
  /** The rows of one server. */
  rows(serverUuid: string, now: number): readonly NewBlockDevice[];
  readonly volumes: readonly ServerVolume[];
  /** Sets existing volumes aside for the server; what was set aside is let go when it throws. Throws volumeUnfit (400). */
  reserve(serverUuid: string): Promise<void>;
  /** Volumes that exist, which `reserve` sets aside. */
  readonly given: readonly string[];
  /** Lets go of what `reserve` set aside. False: some could not be let go. */
  release(): Promise<boolean>;
}
type Parts = Pick<ServerParts, 'images' | 'volumes' | 'log'>;
type Found = DeviceWish & { readonly volume?: VolumeInfo };

const snapshotOf = ({ status: _status, ...image }: ServerImage): ImageSnapshot => image;
const as = (asker: Asker) => (asker.token === null ? {} : { token: asker.token });
const isGone = (cause: unknown) => cause instanceof CloudError && (cause.kind === 'notFound' || cause.code === 'volume.answered_400');

/** Looks up and checks all the disks a create asks for. Nothing is changed anywhere. */
export async function wishedDisks(
  parts: Parts,
  call: Call,
  wish: ServerWish,
  more: { readonly asker: Asker; readonly flavor: Flavor; readonly max: number },
): Promise<Disks> {
  const { asker, flavor, max } = more;
  const source = wish.imageRef ? await parts.images.show(wish.imageRef, asker) : undefined;
  if (wish.imageRef && !source) throw imageUnknown({ id: wish.imageRef }); // also when another disk is the root
  const ofImage = devicesOfImage(source?.properties ?? {});
  const wishes = wishedDevices(wish, flavor, ofImage);
  if (wishes.length > 0)
    call.allow({ project_id: call.caller.projectId, user_id: call.caller.userId }, 'os_compute_api:servers:create:attach_volume');
  const root = wishes.find((device) => device.bootIndex === 0);
  if (wishes.length === 0 || (root?.source === 'image' && root.destination === 'local')) {
    const image = await wishedImage(parts.images, call, asker, root?.id ?? wish.imageRef, flavor);
    const rest = await settle(parts, call, wishes, asker, max);
    const auto = ['true', '1', 'yes', 'on'].includes(String(image.properties.auto_disk_config ?? '').toLowerCase());
    return { imageId: image.id, image: snapshotOf(image), autoDiskConfig: auto, rootDeviceName: null, ...devicesOf(parts, rest) };
  }
  const found = await settle(parts, call, wishes, asker, max);
  const rootDisk = found.find((device) => device.bootIndex === 0);
  const image =
    source && ofImage.some((device) => device.bootIndex === 0)
      ? namedByImage(source, rootDisk, flavor)
      : await rootImage(parts, rootDisk, asker, flavor);
  return { imageId: null, image, autoDiskConfig: false, rootDeviceName: '/dev/vda', ...devicesOf(parts, found) };
}

/** Looks at each volume, snapshot, image and type that is named. */
async function settle(parts: Parts, call: Call, wishes: readonly DeviceWish[], asker: Asker, max: number): Promise<Found[]> {
  const found: Found[] = [];
  const types = wishes.some((device) => device.volumeType !== null) ? await parts.volumes.types(as(asker)) : [];
  for (const device of wishes) {
    if (device.volumeType !== null && !types.some((type) => type.id === device.volumeType || type.name === device.volumeType))
      throw volumeTypeUnknown({ name: device.volumeType });
    if (device.destination === 'local') found.push(device);
    else if (device.source === 'volume') found.push({ ...device, volume: await usableVolume(parts, call, device.id ?? '', asker, max) });
    else if (device.source === 'snapshot') {
      const snapshot = await parts.volumes.showSnapshot(device.id ?? '', as(asker)).catch((cause) => {
        throw isGone(cause) ? snapshotUnknown({ id: device.id ?? '' }, { cause }) : cause;
      });
      const size = device.sizeGiB ?? snapshot.sizeGiB;
      if (size < snapshot.sizeGiB) throw volumeTooSmall({ size, least: snapshot.sizeGiB });
      const volume = device.bootIndex === 0 ? await parts.volumes.show(snapshot.volumeId).catch(() => undefined) : undefined;
      found.push({ ...device, sizeGiB: size, ...(volume ? { volume } : {}) });
    } else found.push(device);
  }
  return found;
}

async function usableVolume({ volumes }: Parts, call: Call, id: string, asker: Asker, max: number): Promise<VolumeInfo> {
  const volume = await volumes.show(id, as(asker)).catch((cause) => {
    throw isGone(cause) ? blockVolumeMissing({ id }, { cause }) : cause;
  });
  if (volume.multiattach && !volumesAreShared(call.version)) throw multiattachTooOld({});
  if (max > 1 && !volume.multiattach) throw volumeForMany({});
  if (volume.status !== 'available' && !(volume.multiattach && volume.status === 'in-use'))
    throw volumeUnfit({ why: `Volume ${id} status must be available or in-use for a multiattach one, but it is ${volume.status}.` });
  return volume;
}

/** What a server keeps of the image that names its disks. Throws imageNotActive, flavorMemoryTooSmall, volumeTooSmall (400). */
function namedByImage(image: ServerImage, root: Found | undefined, flavor: Flavor): ImageSnapshot {
  if (image.status !== 'active') throw imageNotActive({ id: image.id });
  if (flavor.memoryMiB < image.minMemoryMiB) throw flavorMemoryTooSmall({});
  const size = root?.sizeGiB ?? 0;
  if (size < image.minDiskGiB) throw volumeTooSmall({ size, least: image.minDiskGiB });
  const { block_device_mapping: _disks, bdm_v2: _form, root_device_name: _root, ...properties } = image.properties;
  return { ...snapshotOf(image), properties };
}

/** What a volume-backed server keeps of its image: properties, no data. */
async function rootImage({ images }: Parts, root: Found | undefined, asker: Asker, flavor: Flavor): Promise<ImageSnapshot | null> {
  if (root?.source === 'image') {
    const image = await images.show(root.id ?? '', asker);
    if (!image) throw imageUnknown({ id: root.id ?? '' });
    if (image.status !== 'active') throw imageNotActive({ id: image.id });
    if (flavor.memoryMiB < image.minMemoryMiB) throw flavorMemoryTooSmall({});
    const size = root.sizeGiB ?? 0;
    if (size < image.minDiskGiB) throw volumeTooSmall({ size, least: image.minDiskGiB });
    return snapshotOf(image);
  }
  const volume = root?.volume;
  if (root?.source === 'volume' && volume && !volume.bootable) throw volumeNotBootable({ id: volume.id });
  if (!volume) return null;
  const {
    min_ram,
    min_disk,
    image_id,
    image_name,
    checksum: _sum,
    container_format,
    disk_format: _format,
    size: _size,
    ...properties
  } = volume.imageMetadata;
  const least = { memory: Number(min_ram ?? 0) || 0, disk: Number(min_disk ?? 0) || 0 };
  if (flavor.memoryMiB < least.memory) throw flavorMemoryTooSmall({});
  if (volume.sizeGiB < least.disk) throw volumeTooSmall({ size: volume.sizeGiB, least: least.disk });
  return {
    id: image_id ?? '',
    name: image_name ?? '',
    diskFormat: 'raw',
    containerFormat: container_format ?? 'bare',
    sizeBytes: 0,
    hashAlgo: '',
    hashValue: '',
    minDiskGiB: least.disk,
    minMemoryMiB: least.memory,
    properties,
  };
}

function devicesOf({ volumes, log }: Parts, found: readonly Found[]): Pick<Disks, 'rows' | 'volumes' | 'given' | 'reserve' | 'release'> {
  const own = found.filter((device) => !(device.source === 'image' && device.destination === 'local'));
  const names = new Set(own.flatMap((device) => device.deviceName ?? []));
  const named = own.map((device) => {
    const name = device.deviceName ?? (device.bootIndex === 0 ? '/dev/vda' : freeDeviceName(names));
    names.add(name);
    return { ...device, name };
  });
  const attachments = new Map<string, string>();
  const release = async () => {
    for (const [volume, id] of attachments)
      await volumes.release(id).then(
        () => attachments.delete(volume),
        (cause) => log.warn({ err: cause, volume, attachment: id }, 'a volume that was set aside for a refused server stays so for now'),
      );
    return attachments.size === 0;
  };
  return {
    given: named.flatMap((device) => (device.source === 'volume' && device.id !== null ? [device.id] : [])),
    volumes: named.flatMap((device) =>
      device.destination === 'local'
        ? []
        : [{ volumeId: device.source === 'volume' ? device.id : null, deleteOnTermination: device.deleteOnTermination }],
    ),
    rows: (serverUuid, now) =>
      named.map((device) => ({
        uuid: newUuid(),
        server_uuid: serverUuid,
        source_type: device.source,
        destination_type: device.destination,
        boot_index: device.bootIndex,
        device_name: device.name,
        disk_bus: device.bus,
        device_type: device.type,
        guest_format: device.guestFormat,
        volume_size_gib: device.source === 'volume' ? (device.volume?.sizeGiB ?? null) : device.sizeGiB,
        volume_type: device.volumeType,
        image_id: device.source === 'image' ? device.id : null,
        snapshot_id: device.source === 'snapshot' ? device.id : null,
        volume_id: device.source === 'volume' ? device.id : null,
        attachment_id: device.source === 'volume' ? (attachments.get(device.id ?? '') ?? null) : null,
        connection: null,
        delete_on_termination: device.deleteOnTermination ? 1 : 0,
        tag: device.tag,
        created_at: now,
        updated_at: null,
      })),
    async reserve(serverUuid) {
      for (const device of named) {
        if (device.source !== 'volume' || device.id === null) continue;
        try {
          attachments.set(device.id, await volumes.reserve(device.id, serverUuid));
        } catch (cause) {
          await release();
          throw cause instanceof CloudError && cause.kind === 'invalid'
            ? volumeUnfit({ why: cause.message.replace(/^Invalid volume: /, '') }, { cause })
            : cause;
        }
      }
    },
    release,
  };
}
