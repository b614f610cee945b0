import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import { claimClasses } from '../../model/resources.ts';
import { no, ok, type Verdict } from './filter.ts';
import { freeOf, type HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';

/** The stages that are always there, before the filters: what placement answers in Nova. Named in reasons like filters. */
export const stages: readonly { readonly name: string; judge(columns: HostColumns, host: Host, request: HostRequest): Verdict }[] = [
  { name: 'Requested host', judge: (_columns, host, request) => isRequested(host, request) },
  {
    name: 'Excluded hosts',
    judge: (_columns, host, request) => (request.excludedHosts.includes(host.facts.host) ? no('the build failed there already') : ok),
  },
  {
    name: 'Availability zone',
    judge: (_columns, host, request) =>
      request.availabilityZone === null || host.inZone(request.availabilityZone)
        ? ok
        : no(`it is not in availability zone ${request.availabilityZone}`),
  },
  { name: 'Resources', judge: (columns, host, request) => fits(columns, host.index, request) },
];

const same = (a: string | null, b: string) => a === null || a.toLowerCase() === b.toLowerCase();
function isRequested({ facts }: Host, request: HostRequest): Verdict {
  const forced = same(request.forcedHost, facts.host) && (request.forcedNode === null || request.forcedNode === facts.node);
  const asked =
    same(request.requestedHost, facts.host) && (request.requestedHypervisor === null || request.requestedHypervisor === facts.node);
  return forced && asked ? ok : no('it is not the host that was asked for');
}

const units = { VCPU: 'VCPU', MEMORY_MB: 'MiB of memory', DISK_GB: 'GiB of disk' } as const;
function fits(columns: HostColumns, at: number, { amounts }: HostRequest): Verdict {
  for (const name of claimClasses) {
    const wish = amounts[name];
    if (wish > 0 && wish > freeOf(columns, name, at)) return no(`not enough free ${units[name]} for ${wish}`);
  }
  return ok;
}

/** Whether the stages above say yes, without a reason: the fast path. */
export function passesStages(columns: HostColumns, host: Host, request: HostRequest, simple: boolean): boolean {
  const at = host.index;
  const { VCPU, MEMORY_MB, DISK_GB } = request.amounts;
  if (VCPU > 0 && VCPU > freeOf(columns, 'VCPU', at)) return false;
  if (MEMORY_MB > 0 && MEMORY_MB > freeOf(columns, 'MEMORY_MB', at)) return false;
  if (DISK_GB > 0 && DISK_GB > freeOf(columns, 'DISK_GB', at)) return false;
  if (request.availabilityZone !== null && !host.inZone(request.availabilityZone)) return false;
  return simple || (isRequested(host, request).ok && !request.excludedHosts.includes(host.facts.host));
}
export const isSimple = (request: HostRequest) =>
  request.excludedHosts.length === 0 &&
  (request.forcedHost ?? request.forcedNode ?? request.requestedHost ?? request.requestedHypervisor) === null;
export const isForced = (request: HostRequest) => request.forcedHost !== null || request.forcedNode !== null;
