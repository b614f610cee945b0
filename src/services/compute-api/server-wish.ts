import type { Database, Query } from '../../db/engine.ts';
import { flavorOf } from '../../db/tables/compute/flavors.ts';
import type { Call } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  countsTurned,
  fileContentExceeded,
  fileCountExceeded,
  filePathExceeded,
  flavorDiskSmallerThanImage,
  flavorDiskSmallerThanMinDisk,
  flavorMemoryTooSmall,
  flavorUnusable,
  groupUnknown,
  hostnameAmbiguous,
  hostUnknown,
  imageMissing,
  imageNotActive,
  imageUnknown,
  keyNameUnknown,
  metadataQuotaExceeded,
  volumeNeededForZeroDisk,
  zoneUnknown,
} from '../../model/errors-compute.ts';
import type { BuildServerInput } from '../../model/jobs.ts';
import { DEFAULT_ZONE, type Flavor, type RequestedNetwork, type RequestedNetworks } from '../../model/server.ts';
import { isAdmin } from './server-find.ts';
import type { Asker, ImagePort, ServerImage } from './server-parts.ts';
import type { ServerCreate, ServerWish } from './shapes/server-create.ts';

// One function for each thing a create names: looks it up or reads it, and refuses in Nova's words.

const GiB = 1024 ** 3;

/** The flavor a create may use: living, enabled, public or granted to the project. Throws flavorUnusable (400). */
export async function wishedFlavor(db: Query, call: Call, ref: string | number): Promise<Flavor> {
  const id = String(ref).split('/').at(-1) ?? '';
  const row = await db.selectFrom('flavors').selectAll().where('flavorid', '=', id.slice(0, 255)).executeTakeFirst();
  if (!row || row.flavorid !== id || row.disabled === 1) throw flavorUnusable({ id: id.slice(0, 255) });
  if (row.is_public === 0 && !isAdmin(call)) {
    const granted = await db
      .selectFrom('flavor_projects')
      .select('flavor_id')
      .where('flavor_id', '=', row.id)
      .where('project_id', '=', call.caller.projectId ?? '')
      .executeTakeFirst();
    if (!granted) throw flavorUnusable({ id });
  }
  return flavorOf(row);
}

/** The image, fit for the flavor. Throws the 400s of missing, unknown, inactive and too large images. */
export async function wishedImage(
  images: ImagePort,
  call: Call,
  asker: Asker,
  ref: string | undefined,
  flavor: Flavor,
): Promise<ServerImage> {
  if (!ref) throw imageMissing({});
  const image = await images.show(ref, asker);
  if (!image) throw imageUnknown({ id: ref });
  mustFitFlavor(image, flavor);
  if (flavor.rootGiB === 0 && !call.allows('os_compute_api:servers:create:zero_disk_flavor')) throw volumeNeededForZeroDisk({});
  return image;
}

/** Throws the 400s of an image that is not active or needs more than the flavor has. */
export function mustFitFlavor(image: ServerImage, flavor: Flavor): void {
  if (image.status !== 'active') throw imageNotActive({ id: image.id });
  if (flavor.memoryMiB < image.minMemoryMiB) throw flavorMemoryTooSmall({});
  if (flavor.rootGiB === 0) return;
  const flavorBytes = flavor.rootGiB * GiB;
  if (image.sizeBytes > flavorBytes) throw flavorDiskSmallerThanImage({ flavorBytes, imageBytes: image.sizeBytes });
  const minBytes = image.minDiskGiB * GiB;
  if (minBytes > flavorBytes) throw flavorDiskSmallerThanMinDisk({ flavorBytes, minBytes });
}

/** The caller's key pair of that name. Throws keyNameUnknown (400). */
export async function wishedKey(
  db: Query,
  userId: string,
  name: string | undefined,
): Promise<{ name: string; publicKey: string } | undefined> {
  if (name === undefined) return undefined;
  const row = await db
    .selectFrom('keypairs')
    .select(['name', 'public_key'])
    .where('user_id', '=', userId)
    .where('name', '=', name)
    .executeTakeFirst();
  if (!row || row.name !== name) throw keyNameUnknown({});
  return { name: row.name, publicKey: row.public_key };
}

export type Destination = Pick<BuildServerInput, 'forcedHost' | 'forcedNode' | 'requestedHost' | 'requestedHypervisor'> & {
  readonly zone: string | null;
};

/** Zone and host: `zone:host:node` forces one, `host` and `hypervisor_hostname` ask for one; each has its own right.
 *  Throws invalidInput, zoneUnknown, hostUnknown (400), policyForbids. */
export async function wishedDestination(db: Query, call: Call, wish: ServerWish): Promise<Destination> {
  const { zone, host: forcedHost, node: forcedNode } = parseZone(wish.availability_zone);
  const own = { project_id: call.caller.projectId, user_id: call.caller.userId };
  const requestedHost = wish.host ?? null;
  const requestedHypervisor = wish.hypervisor_hostname ?? null;
  if (forcedHost !== null || forcedNode !== null) {
    if (requestedHost !== null || requestedHypervisor !== null)
      throw invalidInput({ why: 'Only one of host or hypervisor_hostname and availability_zone:host:node can be given.' });
    call.allow(own, 'os_compute_api:servers:create:forced_host');
  }
  if (requestedHost !== null || requestedHypervisor !== null) call.allow(own, 'compute:servers:create:requested_destination');
  const host = forcedHost ?? requestedHost;
  const hypervisor = forcedNode ?? requestedHypervisor;
  if (host !== null || hypervisor !== null) {
    let query = db.selectFrom('hypervisors').select('id');
    if (host !== null) query = query.where('host', '=', host);
    if (hypervisor !== null) query = query.where('hypervisor_hostname', '=', hypervisor);
    if (!(await query.executeTakeFirst())) throw hostUnknown({ host: host ?? hypervisor ?? '' });
  }
  if (zone !== null) await mustBeZone(db, zone);
  return { zone, forcedHost, forcedNode, requestedHost, requestedHypervisor };
}

function parseZone(text: string | undefined): { zone: string | null; host: string | null; node: string | null } {
  if (text === undefined) return { zone: null, host: null, node: null };
  const parts = text.split(':');
  if (parts.length > 3)
    throw invalidInput({ why: 'Unable to parse availability_zone value: zone, zone:host or zone:host:node is expected.' });
  const [zone, host, node] = parts;
  return { zone: zone || null, host: host || null, node: node || null };
}

/** Whether any enabled compute service is in that zone. */
export async function zoneExists(db: Query, zone: string): Promise<boolean> {
  const row = await db
    .selectFrom('services')
    .select('id')
    .where('binary', '=', 'nova-compute')
    .where('zone', '=', zone)
    .where('disabled', '=', 0)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many servers: at least and at most. Throws invalidInput, countsTurned. */
export function wishedCounts(wish: ServerWish): { min: number; max: number } {
  const read = (value: number | string | undefined) => (value === undefined ? undefined : Number(value));
  const min = read(wish.min_count) ?? 1;
  const max = read(wish.max_count) ?? min;
  if (!(min >= 1) || !(max >= 1) || !Number.isSafeInteger(min) || !Number.isSafeInteger(max)) {
    throw invalidInput({ why: 'min_count and max_count must be integers of at least 1.' });
  }
  if (min > max) throw countsTurned({});
  if (max > MAX_SERVERS) throw invalidInput({ why: `One request makes at most ${MAX_SERVERS} servers.` });
  if (max > 1 && wish.hostname !== undefined) throw hostnameAmbiguous({});
  return { min, max };
}
/** So that one transaction stays within what engines bind in one statement. */
const MAX_SERVERS = 1000;

/** What a create asks of networks, as rooms know it. Throws invalidInput for requests that contradict themselves. */
export function wishedNetworks(wish: ServerWish, servers: number): RequestedNetworks {
  if (wish.networks === undefined || wish.networks === 'auto') return 'auto';
  if (wish.networks === 'none') return 'none';
  const list: RequestedNetwork[] = [];
  for (const asked of wish.networks) {
    const networkId = asked.uuid ?? null;
    const portId = asked.port ?? null;
    const fixedIp = asked.fixed_ip ?? null;
    if (portId !== null) {
      if (fixedIp !== null)
        throw invalidInput({
          why: `Specified Fixed IP '${fixedIp}' cannot be used with port '${portId}': the two cannot be specified together.`,
        });
      if (servers > 1)
        throw invalidInput({
          why: 'Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.',
        });
      if (list.some((other) => other.portId === portId)) throw invalidInput({ why: `Port ${portId} is named twice.` });
    } else if (networkId === null || !isUuid(networkId)) {
      throw invalidInput({ why: `Bad networks format: network uuid is not in proper format (${String(networkId).slice(0, 100)})` });
    }
    if (fixedIp !== null && servers > 1)
      throw invalidInput({ why: 'Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.' });
    list.push({ networkId: portId === null ? networkId : null, portId, fixedIp, tag: asked.tag ?? null });
  }
  return list.length === 0 ? 'auto' : list;
}

/** Files of `personality`, within their quotas. */
export function wishedFiles(
  wish: Pick<ServerWish, 'personality'>,
  limits: Readonly<Record<string, number>>,
): BuildServerInput['injectedFiles'] {
  const files = wish.personality ?? [];
  const within = (value: number, resource: string) => (limits[resource] ?? -1) < 0 || value <= (limits[resource] ?? -1);
  if (!within(files.length, 'injected_files')) throw fileCountExceeded({ limit: limits.injected_files ?? 0, asked: files.length });
  return files.map(({ path, contents }) => {
    if (path === undefined || contents === undefined) throw invalidInput({ why: 'Each file of personality needs a path and contents.' });
    const [pathBytes, bytes] = [Buffer.byteLength(path), Buffer.from(contents, 'base64').length];
    if (!within(pathBytes, 'injected_file_path_bytes'))
      throw filePathExceeded({ limit: limits.injected_file_path_bytes ?? 0, asked: pathBytes });
    if (!within(bytes, 'injected_file_content_bytes'))
      throw fileContentExceeded({ limit: limits.injected_file_content_bytes ?? 0, asked: bytes });
    return { path, contents };
  });
}

/** Metadata within its quota. */
export function checkMetadata(metadata: Readonly<Record<string, string>>, limits: Readonly<Record<string, number>>): void {
  const limit = limits.metadata_items ?? -1;
  const asked = Object.keys(metadata).length;
  if (limit >= 0 && asked > limit) throw metadataQuotaExceeded({ limit, asked });
}

/** Scheduler hints by either of their names, and the group among them. Throws groupUnknown, invalidInput. */
export async function wishedHints(
  db: Database,
  call: Call,
  body: ServerCreate,
): Promise<{ hints: Readonly<Record<string, unknown>>; groupUuid: string | null }> {
  const hints = body['os:scheduler_hints'] ?? body['OS-SCH-HNT:scheduler_hints'] ?? {};
  const named: unknown = Array.isArray(hints.group) ? hints.group[0] : hints.group;
  if (Array.isArray(hints.group) && hints.group.length !== 1) throw invalidInput({ why: 'A server can be member of one group only.' });
  if (named === undefined) return { hints, groupUuid: null };
  const id = String(named).toLowerCase();
  const group = await db.read
    .selectFrom('server_groups')
    .select(['uuid', 'project_id'])
    .where('uuid', '=', id.slice(0, 36))
    .executeTakeFirst();
  if (!group || group.project_id !== call.caller.projectId) throw groupUnknown({ id: id.slice(0, 100) });
  return { hints, groupUuid: group.uuid };
}

/** Throws zoneUnknown (400). */
export async function mustBeZone(db: Query, zone: string): Promise<void> {
  if (zone !== DEFAULT_ZONE && !(await zoneExists(db, zone))) throw zoneUnknown({ zone });
}
