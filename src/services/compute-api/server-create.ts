import { quotaLimits } from '../../db/tables/compute/quotas.ts';
import { findServer, type NewServer } from '../../db/tables/compute/servers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { serverNotFound } from '../../model/errors-compute.ts';
import { canonicalIp } from '../../model/ip-address.ts';
import { type BuildServerInput, JOBS_RING } from '../../model/jobs.ts';
import { CELL_UUID, powerStates } from '../../model/server.ts';
import { type Acceptance, type Accepted, accept, bodyHash, findKey, type Idempotency } from './accept.ts';
import { publisherOf } from './parts.ts';
import { intend, isMute } from './request-intent.ts';
import { descriptionIsOwn } from './server-behaviours.ts';
import { wishedDisks } from './server-disks.ts';
import { jobContext, networkReach } from './server-find.ts';
import { hostNameOf, nameOf, newPassword, newReservationId } from './server-names.ts';
import { type Asker, defaultLimits, type ServerParts } from './server-parts.ts';
import {
  checkMetadata,
  wishedCounts,
  wishedDestination,
  wishedFiles,
  wishedFlavor,
  wishedHints,
  wishedKey,
  wishedNetworks,
} from './server-wish.ts';
import { isTrue } from './shapes/server-common.ts';
import type { ServerCreate, ServerWish } from './shapes/server-create.ts';
import { linkRoots, serverLinks } from './views/server-links.ts';
import { createdView } from './views/server-view.ts';

/** Accepts servers to be built. Answers 202 at once; the building is the conductor's. With an `Idempotency-Key` header the same request asked
 *  again makes nothing new and gets the first answer.  Spec: compute api-ref "Create server". */
export async function createServer(parts: ServerParts, call: Call<ServerCreate>): Promise<Reply> {
  const wish = call.body.server;
  if (call.caller.projectId === null) throw invalidInput({ why: 'The token is for no project: a server needs one to belong to.' });
  const idempotency = keyOf(call);
  const earlier = idempotency && (await findKey(parts.db.read, call.caller.projectId, idempotency));
  if (earlier) return again(parts, call, wish, earlier.serverUuid, earlier.reservationId);

  const acceptance = await resolve(parts, call, wish, idempotency);
  let accepted: Accepted;
  try {
    accepted = await accept(parts.db, acceptance);
  } catch (cause) {
    if (!isMute(cause)) await acceptance.release(); // else it may be accepted; if it is not, a conductor does it
    throw cause;
  }
  if (!accepted.fresh) await acceptance.release();
  if (!accepted.fresh) return again(parts, call, wish, accepted.serverUuid, accepted.reservationId);
  parts.bus.ring(JOBS_RING);
  const [first] = accepted.servers;
  if (!first) throw new Error('an accept of no servers');
  return answer(parts, call, wish, first, acceptance.build.adminPass);
}

/** Everything that can be refused before anything is written. */
async function resolve(
  parts: ServerParts,
  call: Call<ServerCreate>,
  wish: ServerWish,
  idempotency: Idempotency | undefined,
): Promise<Acceptance & { readonly release: () => Promise<void> }> {
  const db = parts.db.read;
  const own = { project_id: call.caller.projectId, user_id: call.caller.userId };
  const { min, max } = wishedCounts(wish);
  const limits = await quotaLimits(db, call.caller.projectId ?? '', defaultLimits(parts));
  checkMetadata(wish.metadata ?? {}, limits);
  const injectedFiles = wishedFiles(wish, limits);
  const { zone, ...destination } = await wishedDestination(db, call, wish);
  if (wish.trusted_image_certificates) call.allow(own, 'os_compute_api:servers:create:trusted_certs');
  const asked = wishedNetworks(wish, max);
  if (Array.isArray(asked)) call.allow(own, 'os_compute_api:servers:create:attach_network');
  const { hints, groupUuid } = await wishedHints(parts.db, call, call.body);
  const key = await wishedKey(db, call.caller.userId, wish.key_name);
  const flavor = await wishedFlavor(db, call, wish.flavorRef);
  const asker: Asker = {
    token: call.token,
    projectId: call.caller.projectId ?? '',
    userId: call.caller.userId,
    requestId: call.requestId,
  };
  const disks = await wishedDisks(parts, call, wish, { asker, flavor, max });
  const securityGroups = groupsOf(wish);
  const networks = await parts.networks.validate(asked, {
    asker,
    servers: max,
    securityGroups: asked === 'none' ? [] : securityGroups,
    reach: networkReach(call),
  });
  const now = parts.clock.now();
  const reservationId = newReservationId();
  const build: Omit<BuildServerInput, 'serverUuid'> = {
    adminPass: wish.adminPass ?? newPassword(),
    injectedFiles,
    groupUuid,
    ...destination,
  };
  const name = call.legacy ? wish.name.trim() : wish.name;
  const firstUuid = newUuid();
  const one = (index: number, count: number): NewServer => {
    const uuid = index === 0 ? firstUuid : newUuid();
    const ownName = nameOf(name, index, count);
    return {
      uuid,
      reservationId,
      projectId: asker.projectId,
      userId: asker.userId,
      name: ownName,
      description: descriptionIsOwn(call.version) ? (wish.description ?? null) : ownName,
      hostname: wish.hostname ?? hostNameOf(ownName, uuid),
      vmState: 'building',
      taskState: 'scheduling',
      powerState: powerStates.pending,
      progress: 0,
      host: null,
      node: null,
      launchedOn: null,
      cellUuid: CELL_UUID,
      epoch: 0,
      flavor,
      image: disks.image,
      imageId: disks.imageId,
      keyName: key?.name ?? null,
      keyData: key?.publicKey ?? null,
      userData: wish.user_data ?? null,
      configDrive: isTrue(wish.config_drive) ? 'True' : '',
      availabilityZone: zone,
      accessIpV4: wish.accessIPv4 ?? null,
      accessIpV6: wish.accessIPv6 ? canonicalIp(wish.accessIPv6) : null,
      diskConfig: wish['OS-DCF:diskConfig'] ?? (disks.autoDiskConfig ? 'AUTO' : 'MANUAL'),
      rootDeviceName: disks.rootDeviceName,
      launchIndex: index,
      metadata: wish.metadata ?? {},
      requestedNetworks: networks,
      securityGroups: networks === 'none' ? [] : securityGroups,
      networkInfo: [],
      volumes: disks.volumes,
      schedulerHints: hints,
      trustedCerts: wish.trusted_image_certificates ?? null,
      fault: null,
      locked: false,
      lockedReason: null,
      createdAt: now,
      updatedAt: now,
    };
  };
  const intent = await intend(parts, call, firstUuid, { volumeIds: disks.given });
  const release = async () => {
    if (await disks.release()) await intent.forget(); // else a conductor does it
  };
  await disks.reserve(firstUuid).catch(async (cause) => {
    if (!isMute(cause)) await release();
    throw cause;
  });
  return {
    release,
    fulfil: intent.fulfil,
    devices: disks.rows,
    servers: (count) => Array.from({ length: count }, (_none, index) => one(index, count)),
    min,
    max,
    tags: [...new Set(wish.tags ?? [])],
    groupUuid,
    build,
    context: jobContext(call),
    idempotency,
    limits: defaultLimits(parts),
    publisher: publisherOf(parts),
    now,
  };
}

/** Security groups by name or id, each once; Nova's default one when none is named. */
function groupsOf(wish: ServerWish): string[] {
  const names = (wish.security_groups ?? []).map((group) => group.name ?? '');
  if (names.includes('')) throw invalidInput({ why: "Each of security_groups needs a 'name'." });
  return names.length === 0 ? ['default'] : [...new Set(names)];
}

function keyOf(call: Call<ServerCreate>): Idempotency | undefined {
  const header = call.headers['idempotency-key'];
  if (header === undefined) return undefined;
  const key = String(header).trim();
  if (key === '' || key.length > 255 || !/^[\x21-\x7e]+$/.test(key))
    throw invalidInput({ why: 'An Idempotency-Key is 1 to 255 printable ASCII signs without blanks.' });
  return { key, bodyHash: bodyHash(call.body) };
}

function answer(
  parts: ServerParts,
  call: Call<ServerCreate>,
  wish: ServerWish,
  server: { uuid: string; diskConfig: 'AUTO' | 'MANUAL'; reservationId: string },
  adminPass: string | null,
): Reply {
  const roots = linkRoots(call);
  if (isTrue(wish.return_reservation_id)) return { status: 202, body: { reservation_id: server.reservationId } };
  const view = createdView(server, roots, {
    adminPass: parts.showPasswords === false || adminPass === null ? undefined : adminPass,
    securityGroups: groupsOf(wish),
  });
  return { status: 202, body: { server: view }, headers: { location: serverLinks(roots, server.uuid)[0]?.href ?? '' } };
}

/** The answer to a request that was accepted before. A generated password is told again as long as the build has not ended; it is kept nowhere else. */
async function again(parts: ServerParts, call: Call<ServerCreate>, wish: ServerWish, uuid: string, reservationId: string): Promise<Reply> {
  const server = await findServer(parts.db.read, uuid);
  if (!server && !isTrue(wish.return_reservation_id)) throw serverNotFound({ id: uuid });
  const job = await parts.db.read
    .selectFrom('jobs')
    .select('input')
    .where('server_uuid', '=', uuid)
    .where('kind', '=', 'build-server')
    .executeTakeFirst();
  const kept = job ? (JSON.parse(job.input) as Partial<BuildServerInput>).adminPass : undefined; // our own accept wrote it
  return answer(parts, call, wish, { uuid, diskConfig: server?.diskConfig ?? 'MANUAL', reservationId }, wish.adminPass ?? kept ?? null);
}
