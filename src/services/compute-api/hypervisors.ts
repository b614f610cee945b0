import { type Hypervisor, type HypervisorWish, listHypervisors, serviceIsUp } from '../../db/tables/compute/services.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { isUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  hypervisorDown,
  hypervisorMarkerNotFound,
  hypervisorNotFound,
  noHypervisorMatches,
  uptimeUnknown,
} from '../../model/errors-compute-api.ts';
import { nextLink, pageLimit } from './links.ts';
import { hostsAreNamedByUuid, hypervisorsArePaged } from './microversions.ts';
import { type ComputeParts, maxLimitOf, serviceDownSecondsOf } from './parts.ts';
import { isYes } from './shapes/query.ts';
import { hypervisorSummary, hypervisorTotals, hypervisorView, uptimeView } from './views/hosts.ts';

const isUp = (parts: ComputeParts, hypervisor: Hypervisor) =>
  serviceIsUp(hypervisor.service, parts.clock.now(), serviceDownSecondsOf(parts));
const withServers = (call: Call) => hostsAreNamedByUuid(call.version) && isYes(one(call, 'with_servers'));

/** Lists hypervisors by name.  Throws hypervisorMarkerNotFound (400), noHypervisorMatches (404).  Spec: compute api-ref "List Hypervisors". */
export const listHypervisorNames = (parts: ComputeParts, call: Call) => page(parts, call, 'os-hypervisors', hypervisorSummary);

/** Lists hypervisors in full.  Spec: compute api-ref "List Hypervisors Details". */
export const listHypervisorDetails = (parts: ComputeParts, call: Call) => page(parts, call, 'os-hypervisors/detail', hypervisorView);

async function page(parts: ComputeParts, call: Call, path: string, view: typeof hypervisorSummary | typeof hypervisorView): Promise<Reply> {
  const servers = withServers(call);
  const pattern = hostsAreNamedByUuid(call.version) ? one(call, 'hypervisor_hostname_pattern') : undefined;
  if (pattern !== undefined) {
    if (one(call, 'limit') !== undefined || one(call, 'marker') !== undefined)
      throw invalidInput({ why: 'Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.' });
    const found = await matching(parts, pattern);
    return { status: 200, body: { hypervisors: found.map((hypervisor) => view(hypervisor, isUp(parts, hypervisor), servers)) } };
  }
  const paged = hypervisorsArePaged(call.version);
  const limit = paged ? pageLimit(call, maxLimitOf(parts)) : undefined;
  const marker = paged ? one(call, 'marker') : undefined;
  const wish: HypervisorWish = {
    ...(limit === undefined ? {} : { limit }),
    ...(marker === undefined ? {} : { after: await keyOfMarker(parts, call, marker) }),
  };
  const found = await listHypervisors(parts.db.read, wish);
  const last = found.at(-1);
  const links = nextLink(call, 'hypervisors', path, {
    full: limit !== undefined && limit > 0 && found.length === limit,
    marker: last && (hostsAreNamedByUuid(call.version) ? last.uuid : String(last.id)),
  });
  return { status: 200, body: { hypervisors: found.map((hypervisor) => view(hypervisor, isUp(parts, hypervisor), servers)), ...links } };
}

async function keyOfMarker(parts: ComputeParts, call: Call, marker: string): Promise<number> {
  const found = await byName(parts, call, marker);
  if (!found) throw hypervisorMarkerNotFound({ marker });
  return found.id;
}

/** The hypervisor by what the version calls it; undefined also for what cannot be such a name. */
async function byName(parts: ComputeParts, call: Call, name: string): Promise<Hypervisor | undefined> {
  if (hostsAreNamedByUuid(call.version)) return isUuid(name) ? (await listHypervisors(parts.db.read, { uuid: name }))[0] : undefined;
  return /^\d{1,15}$/.test(name) ? (await listHypervisors(parts.db.read, { id: Number(name) }))[0] : undefined;
}

async function mustFind(parts: ComputeParts, call: Call): Promise<Hypervisor> {
  const id = call.params.id ?? '';
  const shown = id.slice(0, 100);
  if (hostsAreNamedByUuid(call.version) && !isUuid(id)) throw invalidInput({ why: `Invalid uuid ${shown}` });
  const found = await byName(parts, call, id);
  if (!found) throw hypervisorNotFound({ id: shown });
  return found;
}

async function matching(parts: ComputeParts, pattern: string): Promise<Hypervisor[]> {
  const found = await listHypervisors(parts.db.read, { hostnamePart: pattern });
  if (found.length === 0) throw noHypervisorMatches({ pattern: pattern.slice(0, 255) });
  return found;
}

/** Shows a hypervisor.  Throws invalidInput (400), hypervisorNotFound (404).  Spec: compute api-ref "Show Hypervisor Details". */
export async function showHypervisor(parts: ComputeParts, call: Call): Promise<Reply> {
  const hypervisor = await mustFind(parts, call);
  return { status: 200, body: { hypervisor: hypervisorView(hypervisor, isUp(parts, hypervisor), withServers(call)) } };
}

/** Shows how long a hypervisor is up.  Throws hypervisorNotFound (404), hypervisorDown (400), uptimeUnknown (501).
 *  Spec: compute api-ref "Show Hypervisor Uptime". */
export async function showHypervisorUptime(parts: ComputeParts, call: Call): Promise<Reply> {
  const hypervisor = await mustFind(parts, call);
  if (!isUp(parts, hypervisor)) throw hypervisorDown({ host: hypervisor.service.host });
  if (hypervisor.uptime === null) throw uptimeUnknown({ host: hypervisor.service.host });
  return { status: 200, body: { hypervisor: uptimeView(hypervisor) } };
}

/** Sums over all hypervisors whose service is enabled.  Spec: compute api-ref "Show Hypervisor Statistics". */
export async function showHypervisorStatistics(parts: ComputeParts, _call: Call): Promise<Reply> {
  const counted = (await listHypervisors(parts.db.read)).filter((hypervisor) => !hypervisor.service.disabled);
  const sums: Record<string, number> = {
    ...{ vcpus: 0, vcpus_used: 0, memory_mb: 0, memory_mb_used: 0, free_ram_mb: 0, local_gb: 0 },
    ...{ local_gb_used: 0, free_disk_gb: 0, disk_available_least: 0, running_vms: 0, current_workload: 0 },
  };
  for (const hypervisor of counted)
    for (const [name, value] of Object.entries(hypervisorTotals(hypervisor))) sums[name] = (sums[name] ?? 0) + value;
  return { status: 200, body: { hypervisor_statistics: { count: counted.length, ...sums } } };
}

/** Lists hypervisors whose host name holds a text.  Throws noHypervisorMatches (404).  Spec: compute api-ref "Search Hypervisor". */
export async function searchHypervisors(parts: ComputeParts, call: Call): Promise<Reply> {
  const found = await matching(parts, call.params.id ?? '');
  return { status: 200, body: { hypervisors: found.map((hypervisor) => hypervisorSummary(hypervisor, isUp(parts, hypervisor), false)) } };
}

/** The same with the servers on them.  Spec: compute api-ref "List Hypervisor Servers". */
export async function listHypervisorServers(parts: ComputeParts, call: Call): Promise<Reply> {
  const found = await matching(parts, call.params.id ?? '');
  return { status: 200, body: { hypervisors: found.map((hypervisor) => hypervisorSummary(hypervisor, isUp(parts, hypervisor), true)) } };
}
