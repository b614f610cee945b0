import type { Query } from '../../db/engine.ts';
import { writeChange } from '../../db/tables/compute/changes.ts';
import {
  deleteService,
  findService,
  hasEvacuationsDone,
  listServices,
  type Service,
  type ServiceChange,
  serviceIsUp,
  updateService,
} from '../../db/tables/compute/services.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { invalidInput, routeNotFound } from '../../model/errors.ts';
import { evacuationsPending, serviceHasMoves } from '../../model/errors-compute-admin.ts';
import { hostBinaryNotFound, serviceHasServers, serviceNotFound } from '../../model/errors-compute-api.ts';
import { notice, servicePayload } from '../../model/notices.ts';
import { hostsAreNamedByUuid, servicesCanBeForcedDown } from './microversions.ts';
import { type ComputeParts, serviceDownSecondsOf } from './parts.ts';
import type { ServiceByHost, ServiceByUuid } from './shapes/hosts.ts';
import { isYes } from './shapes/query.ts';
import { serviceView } from './views/hosts.ts';

const view = (parts: ComputeParts, service: Service) =>
  serviceView(service, serviceIsUp(service, parts.clock.now(), serviceDownSecondsOf(parts)));

/** Lists the services of the cloud.  Spec: compute api-ref "List Compute Services". */
export async function listCloudServices(parts: ComputeParts, call: Call): Promise<Reply> {
  const services = await listServices(parts.db.read, { host: one(call, 'host'), binary: one(call, 'binary') });
  return { status: 200, body: { services: services.map((service) => view(parts, service)) } };
}

/** Enables, disables or forces down a service. To 2.52 the path is the deed and the body names host and binary; from 2.53 on the path is the
 *  service's uuid.  Throws invalidInput (400), serviceNotFound, hostBinaryNotFound (404).  Spec: compute api-ref "Update Compute Service". */
export function updateCloudService(parts: ComputeParts, call: Call<ServiceByHost | ServiceByUuid>): Promise<Reply> {
  // The shape of the version has settled which of the two it is.
  return hostsAreNamedByUuid(call.version)
    ? updateByUuid(parts, call as Call<ServiceByUuid>)
    : updateByHost(parts, call as Call<ServiceByHost>);
}

async function updateByHost(parts: ComputeParts, call: Call<ServiceByHost>): Promise<Reply> {
  const { host, binary, disabled_reason: disabledReason } = call.body;
  const deed = call.params.id ?? '';
  const { change, shown } = legacyDeed(deed, call, disabledReason);
  mustBeCompute(binary);
  const [service] = await listServices(parts.db.read, { host, binary });
  if (!service) throw hostBinaryNotFound({ host, binary });
  await mayComeUp(parts, host, change);
  await save(parts, service, change);
  return { status: 200, body: { service: { host, binary, ...shown } } };
}

function legacyDeed(
  deed: string,
  call: Call<ServiceByHost>,
  disabledReason: string | undefined,
): { change: ServiceChange; shown: Record<string, unknown> } {
  switch (deed) {
    case 'enable':
      return { change: { disabled: false, disabledReason: null }, shown: { status: 'enabled' } };
    case 'disable':
      return { change: { disabled: true }, shown: { status: 'disabled' } };
    case 'disable-log-reason':
      if (disabledReason === undefined) throw invalidInput({ why: 'Missing disabled reason field' });
      return { change: { disabled: true, disabledReason }, shown: { status: 'disabled', disabled_reason: disabledReason } };
    case 'force-down': {
      if (!servicesCanBeForcedDown(call.version)) throw routeNotFound({});
      if (call.body.forced_down === undefined) throw invalidInput({ why: 'Missing forced_down field' });
      const forcedDown = isYes(call.body.forced_down);
      return { change: { forcedDown }, shown: { forced_down: forcedDown } };
    }
    default:
      throw routeNotFound({});
  }
}

async function updateByUuid(parts: ComputeParts, call: Call<ServiceByUuid>): Promise<Reply> {
  const service = await mustFind(parts, call);
  mustBeCompute(service.binary);
  const { status, disabled_reason: reason, forced_down: forced } = call.body;
  if (reason !== undefined && status !== 'disabled')
    throw invalidInput({ why: "Specifying 'disabled_reason' requires that status is 'disabled'." });
  if (status === undefined && forced === undefined)
    throw invalidInput({ why: "No updates were requested. Fields 'status' or 'forced_down' should be specified." });
  const change: ServiceChange = {
    ...(status === 'enabled' ? { disabled: false, disabledReason: null } : {}),
    ...(status === 'disabled' ? { disabled: true, ...(reason === undefined ? {} : { disabledReason: reason }) } : {}),
    ...(forced === undefined ? {} : { forcedDown: isYes(forced) }),
  };
  await mayComeUp(parts, service.host, change);
  await save(parts, service, change);
  return { status: 200, body: { service: view(parts, { ...service, ...change }) } };
}

/** Throws invalidInput (400) for services that are not switched. */
function mustBeCompute(binary: string) {
  if (binary !== 'nova-compute')
    throw invalidInput({ why: `Updating a ${binary} service is not supported. Only nova-compute services can be updated.` });
}

/** A host whose servers were evacuated stays down until its agent has come back and given them up. */
async function mayComeUp(parts: ComputeParts, host: string, change: ServiceChange) {
  if (change.forcedDown === false && (await hasEvacuationsDone(parts.db.read, host))) throw evacuationsPending({ host });
}

const save = (parts: ComputeParts, service: Service, change: ServiceChange) =>
  parts.db.transaction(async (tx) => {
    await updateService(tx, service.id, change, parts.clock.now());
    await tell(parts, tx, { ...service, ...change }, 'updated');
  });

/** Schedulers and listeners outside hear of it by the change feed. */
export const tell = (parts: ComputeParts, tx: Query, service: Service, what: 'updated' | 'deleted') =>
  writeChange(tx, {
    noun: 'service',
    key: service.host,
    what,
    projectId: null,
    body: {
      uuid: service.uuid,
      host: service.host,
      binary: service.binary,
      notice: notice(
        `${service.binary}:${service.host}`,
        what === 'updated' ? 'service.update' : 'service.delete',
        servicePayload(service),
      ),
    },
    at: parts.clock.now(),
  });

async function mustFind(parts: ComputeParts, call: Call<unknown>): Promise<Service> {
  const id = call.params.id ?? '';
  const named = hostsAreNamedByUuid(call.version) ? isUuid(id) : /^\d{1,15}$/.test(id);
  if (!named) throw invalidInput({ why: `Invalid service id ${id.slice(0, 100)}` });
  const service = await findService(parts.db.read, hostsAreNamedByUuid(call.version) ? { uuid: id } : { id: Number(id) });
  if (!service) throw serviceNotFound({ id });
  return service;
}

/** Forgets a service; for a compute service also what its host offered.  Throws invalidInput (400), serviceNotFound (404), serviceHasServers (409).
 *  Spec: compute api-ref "Delete Compute Service". */
export async function removeCloudService(parts: ComputeParts, call: Call): Promise<Reply> {
  const service = await mustFind(parts, call);
  await parts.db.transaction(async (tx) => {
    const inUse = await deleteService(tx, service);
    if (inUse && 'servers' in inUse) throw serviceHasServers({ host: service.host, servers: inUse.servers });
    if (inUse) throw serviceHasMoves({ host: service.host, moves: inUse.moves });
    await tell(parts, tx, service, 'deleted');
  });
  return { status: 204 };
}
