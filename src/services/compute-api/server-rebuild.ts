import type { Updateable } from 'kysely';
import { volumeDevicesOf } from '../../db/tables/compute/block-devices.ts';
import { quotaLimits } from '../../db/tables/compute/quotas.ts';
import { findServer } from '../../db/tables/compute/servers.ts';
import type { ServersTable } from '../../db/tables/compute/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { rebuildCellsDiffer, rebuildImageUnknown, volumeReimageRefused } from '../../model/errors-acts.ts';
import { serverNotFound } from '../../model/errors-compute.ts';
import { typedProperties } from '../../model/image-properties.ts';
import { canonicalIp } from '../../model/ip-address.ts';
import type { RebuildServerInput } from '../../model/jobs.ts';
import { guestNumaOf } from '../../model/numa/constraints.ts';
import { sameCells } from '../../model/numa/same-cells.ts';
import type { Server } from '../../model/server.ts';
import { volumeBackedCanBeReimaged } from './server-behaviours.ts';
import { askerOf, dressOf, ownerOf, serverOf } from './server-find.ts';
import { newPassword } from './server-names.ts';
import { defaultLimits, type ServerImage, type ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import { mustLackTpm } from './server-tpm.ts';
import { checkMetadata, mustFitFlavor, wishedFiles, wishedKey } from './server-wish.ts';
import type { Rebuild } from './shapes/server-acts.ts';
import { isTrue } from './shapes/server-common.ts';
import { linkRoots, serverLinks } from './views/server-links.ts';
import { rebuiltView } from './views/server-view.ts';
import { isVolumeBacked } from './volume-backed.ts';

type Set = Omit<Updateable<ServersTable>, 'id' | 'uuid' | 'revision' | 'updated_at'>;

/** rebuild: new disks from an image, under the same id and addresses. Answers 202 with the server as it will be, its password and its place.
 *  Spec: compute api-ref "Rebuild Server". */
export async function rebuildServer(parts: ServerParts, call: Call<Rebuild>): Promise<Reply> {
  const wish = call.body.rebuild;
  const db = parts.db.read;
  const seen = await serverOf(db, call);
  mustAllow('rebuild', 'rebuild', seen, call);
  mustLackTpm('rebuild', seen);
  if (wish.trusted_image_certificates !== undefined) call.allow(ownerOf(seen), 'os_compute_api:servers:rebuild:trusted_certs');
  const limits = await quotaLimits(db, call.caller.projectId ?? '', defaultLimits(parts));
  if (wish.metadata) checkMetadata(wish.metadata, limits);
  const injectedFiles = wishedFiles(wish, limits);
  const key = wish.key_name === undefined || wish.key_name === null ? undefined : await wishedKey(db, seen.userId, wish.key_name);
  const image = await newImageOf(parts, call, seen, wish.imageRef);
  if (image && !keepsCells(seen, image)) throw rebuildCellsDiffer({});
  const backed = isVolumeBacked(seen);
  const adminPass = wish.adminPass ?? newPassword();
  const set: Set = {
    ...(image ? { image: JSON.stringify(snapshotOf(image)) } : {}),
    ...(image && !backed ? { image_id: image.id } : {}),
    ...(wish.name === undefined ? {} : { name: call.legacy ? wish.name.trim() : wish.name }),
    ...(wish.description === undefined ? {} : { description: wish.description }),
    ...(wish.metadata === undefined ? {} : { metadata: JSON.stringify(wish.metadata) }),
    ...(wish.accessIPv4 === undefined ? {} : { access_ip_v4: wish.accessIPv4 }),
    ...(wish.accessIPv6 === undefined ? {} : { access_ip_v6: wish.accessIPv6 && canonicalIp(wish.accessIPv6) }),
    ...(wish['OS-DCF:diskConfig'] === undefined ? {} : { disk_config: wish['OS-DCF:diskConfig'] }),
    ...(wish.key_name === undefined ? {} : { key_name: key?.name ?? null, key_data: key?.publicKey ?? null }),
    ...(wish.user_data === undefined ? {} : { user_data: wish.user_data }),
    ...(wish.hostname === undefined ? {} : { hostname: wish.hostname }),
    ...(wish.trusted_image_certificates === undefined
      ? {}
      : { trusted_certs: wish.trusted_image_certificates && JSON.stringify(wish.trusted_image_certificates) }),
    progress: 0,
  };
  await beginTask(parts, call, seen, (server) => {
    mustAllow('rebuild', 'rebuild', server, call);
    const input: RebuildServerInput = {
      serverUuid: server.uuid,
      adminPass,
      injectedFiles,
      preserveEphemeral: isTrue(wish.preserve_ephemeral),
      vmStateBefore: server.vmState,
      ...(image && backed ? { reimage: image.id } : {}),
      imageBefore: image && image.id !== (backed ? server.image?.id : server.imageId) ? { id: server.imageId, image: server.image } : null,
    };
    return { taskState: 'rebuilding', actionName: 'rebuild', kind: 'rebuild-server', input, set };
  });
  const server = await findServer(db, seen.uuid);
  if (!server) throw serverNotFound({ id: seen.uuid });
  const view = rebuiltView(server, await dressOf(parts, call, server), parts.showPasswords === false ? undefined : adminPass);
  return { status: 202, body: { server: view }, headers: { location: serverLinks(linkRoots(call), server.uuid)[0]?.href ?? '' } };
}

/** The image it shall get, as it is now, fit for its flavor; undefined for a server on a volume that keeps what is there.
 *  Throws rebuildImageUnknown, the 400s of unfit images, volumeReimageRefused. */
async function newImageOf(parts: ServerParts, call: Call, server: Server, ref: string): Promise<ServerImage | undefined> {
  const image = await parts.images.show(ref, askerOf(call));
  if (!image) throw rebuildImageUnknown({});
  if (!isVolumeBacked(server)) {
    mustFitFlavor(image, server.flavor);
    return image;
  }
  if (!volumeBackedCanBeReimaged(call.version)) {
    if (image.id !== server.image?.id) throw volumeReimageRefused({});
    return undefined;
  }
  mustFitFlavor(image, { ...server.flavor, rootGiB: await rootVolumeGiB(parts, server) });
  return image;
}

/** Whether its memory cells stay what they are: they are claimed of its host, where it is made anew. */
function keepsCells({ flavor, image: old }: Server, image: ServerImage): boolean {
  const { vcpus, memoryMiB, extraSpecs } = flavor;
  const of = (properties: Readonly<Record<string, string>>) =>
    guestNumaOf({ vcpus, memoryMiB, extraSpecs, imageProperties: typedProperties(properties) });
  try {
    return sameCells(of(old?.properties ?? {}), of(image.properties));
  } catch {
    return false; // nobody can read what it asks for
  }
}

const rootVolumeGiB = async (parts: ServerParts, { uuid }: Server): Promise<number> =>
  (await volumeDevicesOf(parts.db.read, uuid)).find((row) => row.boot_index === 0)?.volume_size_gib ?? 0;

function snapshotOf({ status: _status, ...image }: ServerImage) {
  return image;
}
