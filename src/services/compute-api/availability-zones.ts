import { listServices, type Service, serviceIsUp } from '../../db/tables/compute/services.ts';
import type { Call, Reply } from '../../http/call.ts';
import { type ComputeParts, serviceDownSecondsOf } from './parts.ts';
import { zoneServiceView } from './views/hosts.ts';

const INTERNAL = 'internal';

interface Zone {
  readonly name: string;
  readonly available: boolean;
  readonly services: readonly Service[];
}

/** Zones of the cloud's services: those with an enabled service are available, those that have only disabled ones are not. */
async function zones(parts: ComputeParts, withInternal: boolean): Promise<Zone[]> {
  const byName = new Map<string, Service[]>();
  for (const service of await listServices(parts.db.read)) {
    if (service.zone === INTERNAL && !withInternal) continue;
    byName.set(service.zone, [...(byName.get(service.zone) ?? []), service]);
  }
  return [...byName]
    .map(([name, services]) => ({ name, services, available: services.some((service) => !service.disabled) }))
    .sort((a, b) => Number(b.available) - Number(a.available) || (a.name < b.name ? -1 : 1));
}

/** Lists the zones servers can be asked to go to.  Spec: compute api-ref "Get Availability Zone Information". */
export async function listZones(parts: ComputeParts, _call: Call): Promise<Reply> {
  const found = await zones(parts, false);
  return {
    status: 200,
    body: { availabilityZoneInfo: found.map((zone) => ({ zoneName: zone.name, zoneState: { available: zone.available }, hosts: null })) },
  };
}

/** Lists every zone with its hosts and their services.  Spec: compute api-ref "Get Detailed Availability Zone Information". */
export async function listZoneDetails(parts: ComputeParts, _call: Call): Promise<Reply> {
  const now = parts.clock.now();
  const found = await zones(parts, true);
  return {
    status: 200,
    body: {
      availabilityZoneInfo: found.map((zone) => {
        const hosts: Record<string, Record<string, unknown>> = {};
        for (const service of zone.services.filter(({ disabled }) => !disabled)) {
          const binaries = Object.hasOwn(hosts, service.host) ? hosts[service.host] : undefined;
          hosts[service.host] = {
            ...binaries,
            [service.binary]: zoneServiceView(service, serviceIsUp(service, now, serviceDownSecondsOf(parts))),
          };
        }
        return { zoneName: zone.name, zoneState: { available: zone.available }, hosts: zone.available ? hosts : null };
      }),
    },
  };
}
