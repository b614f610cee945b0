import { isUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  bootSequenceInvalid,
  deviceMappingInvalid,
  deviceNameInvalid,
  deviceNameTaken,
  localDevicesTooMany,
} from '../../model/errors-block-devices.ts';
import type { Flavor } from '../../model/server.ts';
import { isTrue } from './shapes/server-common.ts';
import type { ServerWish } from './shapes/server-create.ts';

/** One disk that a create names, in one form for both of its syntaxes. */
export interface DeviceWish {
  readonly source: 'image' | 'volume' | 'snapshot' | 'blank';
  readonly destination: 'local' | 'volume';
  /** Of its image, volume or snapshot; null for a blank one. */
  readonly id: string | null;
  readonly sizeGiB: number | null;
  /** Null: never booted from. */
  readonly bootIndex: number | null;
  readonly deviceName: string | null;
  readonly bus: string | null;
  readonly type: string | null;
  readonly guestFormat: string | null;
  readonly deleteOnTermination: boolean;
  readonly tag: string | null;
  readonly volumeType: string | null;
}
type V1 = NonNullable<ServerWish['block_device_mapping']>[number];
type V2 = NonNullable<ServerWish['block_device_mapping_v2']>[number];
/** Nova's max_local_block_devices. */
const MAX_LOCAL = 3;
const ROOT = /^(\/dev\/)?[a-z]?[vsh]da1?$/;

/** The disks a create asks for, checked against each other. Empty: none are named. Throws invalidInput, deviceMappingInvalid, bootSequenceInvalid,
 *  localDevicesTooMany (400).  Spec: compute guide "Block Device Mapping in Nova". */
export function wishedDevices(wish: ServerWish, flavor: Flavor, ofImage: readonly DeviceWish[] = []): readonly DeviceWish[] {
  const old = wish.block_device_mapping ?? [];
  const now = wish.block_device_mapping_v2 ?? [];
  if (old.length > 0 && now.length > 0)
    throw invalidInput({ why: 'Using different block_device_mapping syntaxes is not allowed in the same request.' });
  const own = old.length > 0 ? old.flatMap((device) => fromOld(device, wish.imageRef)) : now.flatMap(fromNew);
  // A disk of the request takes the place of one of the image's with the same name.
  const named = [
    ...ofImage.filter((device) => !own.some((one) => device.deviceName !== null && one.deviceName === device.deviceName)),
    ...own,
  ];
  if (named.length === 0) return [];
  const devices = named.some((device) => device.bootIndex === 0) || !wish.imageRef ? named : [rootOf(wish.imageRef), ...named];
  mustBoot(devices);
  mustFitLocally(devices, flavor);
  const names = devices.flatMap((device) => device.deviceName ?? []);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw deviceNameTaken({ name: twice });
  return devices;
}

const NUMBERS = new Set(['volume_size', 'boot_index']);
const FLAGS = new Set(['delete_on_termination', 'no_device', 'encrypted']);

/** The disks that an image made of a server on volumes names. Throws invalidInput (400) when its word cannot be read. */
export function devicesOfImage(properties: Readonly<Record<string, string>>): readonly DeviceWish[] {
  const { block_device_mapping: text, bdm_v2 } = properties;
  if (!text) return [];
  let named: unknown;
  try {
    named = JSON.parse(text);
  } catch (cause) {
    throw invalidInput({ why: 'The block_device_mapping of the image is not JSON.' }, { cause });
  }
  if (!Array.isArray(named)) throw invalidInput({ why: 'The block_device_mapping of the image is not a list.' });
  const words = named.map((one) => Object.fromEntries(Object.entries((one ?? {}) as object).filter(([, value]) => value !== null)));
  // Whoever may write images wrote it, and no schema looked at it.
  for (const [word, value] of words.flatMap(Object.entries)) {
    const fits =
      FLAGS.has(word) || (NUMBERS.has(word) ? /^-?\d{1,9}$/.test(String(value)) : typeof value === 'string' && value.length <= 255);
    if (!fits) throw invalidInput({ why: `The block_device_mapping of the image has no usable ${word.slice(0, 50)}.` });
  }
  return isTrue(bdm_v2) ? words.flatMap((one) => fromNew(one as V2)) : words.flatMap((one) => fromOld(one as V1, undefined));
}

const plain = { bus: null, type: null, guestFormat: null, tag: null, volumeType: null, sizeGiB: null, deviceName: null } as const;
const rootOf = (image: string): DeviceWish => ({
  ...plain,
  source: 'image',
  destination: 'local',
  id: image,
  bootIndex: 0,
  deleteOnTermination: true,
});
const sizeOf = (value: number | string | undefined): number | null => (value === undefined ? null : Number(value));

/** A device's name with its folder. Throws deviceNameInvalid (400). */
export function deviceName(name: string | undefined | null): string | null {
  if (!name) return null;
  const whole = name.startsWith('/dev/') ? name : `/dev/${name}`;
  if (!/^\/dev\/[a-z]{1,4}[a-z0-9]{0,10}$/.test(whole)) throw deviceNameInvalid({ name: name.slice(0, 255) });
  return whole;
}

function fromOld(device: V1, image: string | undefined): DeviceWish[] {
  if (device.no_device !== undefined && device.no_device !== null && device.no_device !== false && device.no_device !== '') return [];
  const name = deviceName(device.device_name);
  const common = {
    ...plain,
    deviceName: name,
    sizeGiB: sizeOf(device.volume_size),
    deleteOnTermination: isTrue(device.delete_on_termination),
  };
  if (device.volume_id || device.snapshot_id) {
    const bootIndex = !image && (name === null || ROOT.test(name)) ? 0 : null;
    const source = device.volume_id ? ('volume' as const) : ('snapshot' as const);
    return [{ ...common, source, destination: 'volume', id: device.volume_id ?? device.snapshot_id ?? null, bootIndex }];
  }
  if (device.virtual_name === 'swap' || /^ephemeral\d+$/.test(device.virtual_name ?? '')) {
    const guestFormat = device.virtual_name === 'swap' ? 'swap' : null;
    return [{ ...common, source: 'blank', destination: 'local', id: null, bootIndex: null, guestFormat, deleteOnTermination: true }];
  }
  throw deviceMappingInvalid({ why: 'Each block_device_mapping needs a volume_id, a snapshot_id or a virtual_name.' });
}

function fromNew(device: V2): DeviceWish[] {
  if (device.no_device !== undefined && device.no_device !== null && device.no_device !== false && device.no_device !== '') return [];
  const source = sourceOf(device);
  const usual = source === 'volume' || source === 'snapshot' ? 'volume' : 'local';
  const destination = device.destination_type === 'volume' || device.destination_type === 'local' ? device.destination_type : usual;
  const id =
    source === 'blank'
      ? null
      : (device.uuid ?? (source === 'volume' ? device.volume_id : source === 'snapshot' ? device.snapshot_id : device.image_id));
  if (source !== 'blank' && (id === undefined || id === null || !isUuid(id)))
    throw invalidInput({ why: `Invalid input received: a block device of source_type ${source} needs a uuid.` });
  const index =
    device.boot_index === undefined || device.boot_index === null || device.boot_index === '' ? null : Number(device.boot_index);
  const bootIndex = index === null || index < 0 ? null : index;
  const sizeGiB = sizeOf(device.volume_size);
  if ((source === 'volume' || source === 'snapshot') && destination === 'local')
    throw invalidInput({ why: `Invalid input received: Mapping ${source} to local is not supported.` });
  if (source === 'image' && destination === 'local' && bootIndex !== 0)
    throw invalidInput({ why: 'Invalid input received: Mapping image to local is not supported.' });
  if (destination === 'local' && device.volume_type)
    throw invalidInput({ why: 'Invalid input received: Specifying a volume_type with destination_type=local is not supported.' });
  if (source === 'volume' && device.volume_type)
    throw invalidInput({ why: 'Invalid input received: Specifying volume type to existing volume is not supported.' });
  if (destination === 'volume' && source === 'blank' && !sizeGiB)
    throw deviceMappingInvalid({ why: "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size" });
  if (destination === 'volume' && source === 'image' && !sizeGiB)
    throw deviceMappingInvalid({ why: "Images with destination_type 'volume' need to have a non-zero size specified" });
  return [
    {
      source,
      destination,
      id: id?.toLowerCase() ?? null,
      sizeGiB,
      bootIndex,
      deviceName: deviceName(device.device_name),
      bus: device.disk_bus ?? null,
      type: device.device_type ?? null,
      guestFormat: device.guest_format ?? null,
      deleteOnTermination: device.delete_on_termination === undefined ? destination === 'local' : isTrue(device.delete_on_termination),
      tag: device.tag ?? null,
      volumeType: device.volume_type || null,
    },
  ];
}

function sourceOf(device: V2): DeviceWish['source'] {
  const words = ['image', 'volume', 'snapshot', 'blank'] as const;
  const found = words.find((word) => word === device.source_type);
  if (found) return found;
  if (device.volume_id) return 'volume';
  if (device.snapshot_id) return 'snapshot';
  if (device.image_id) return 'image';
  throw invalidInput({ why: 'Invalid input received: source_type of a block device must be one of image, volume, snapshot, blank.' });
}

/** Boot indexes begin with 0 and leave none out. */
function mustBoot(devices: readonly DeviceWish[]): void {
  const order = devices.flatMap((device) => device.bootIndex ?? []).sort((a, b) => a - b);
  if (order.length === 0 || order.some((index, at) => index !== at)) throw bootSequenceInvalid({});
}

function mustFitLocally(devices: readonly DeviceWish[], flavor: Flavor): void {
  const local = devices.filter((device) => device.destination === 'local');
  if (local.length > MAX_LOCAL) throw localDevicesTooMany({ limit: MAX_LOCAL });
  const blank = local.filter((device) => device.source === 'blank');
  const swaps = blank.filter((device) => device.guestFormat === 'swap');
  if (swaps.length > 1) throw deviceMappingInvalid({ why: 'More than one swap drive requested.' });
  const swap = swaps[0]?.sizeGiB ?? 0;
  if (swap > flavor.swapMiB) throw deviceMappingInvalid({ why: 'Swap drive requested is larger than instance type allows.' });
  const ephemeral = blank.filter((device) => device.guestFormat !== 'swap').reduce((sum, device) => sum + (device.sizeGiB ?? 0), 0);
  if (ephemeral > flavor.ephemeralGiB)
    throw deviceMappingInvalid({
      why: 'Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, flavor ephemeral size will be used.',
    });
}
