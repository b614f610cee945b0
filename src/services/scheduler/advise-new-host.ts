import type { Advice, HostRequest } from '../../bus/contracts/scheduler.ts';
import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { Micros } from '../../lib/clock.ts';
import type { LiveAsk } from './filter.ts';
import { emptyColumns, type HostColumns, putHost } from './host-columns.ts';
import type { Rules } from './options.ts';
import { questions } from './questions.ts';

type Add = NonNullable<Advice['add']>;

/** Nothing that is there can take it: a host of its own could. What such a host needs beside its sizes is tried out on one that is made up. */
export function adviseNewHost(columns: HostColumns, rules: Rules, ask: LiveAsk, askFor: (request: HostRequest) => LiveAsk): Advice {
  const { request } = ask;
  const plain: HostRequest = {
    ...request,
    extraSpecs: {},
    imageProperties: {},
    schedulerHints: {},
    group: null,
    forcedHost: null,
    forcedNode: null,
    requestedHost: null,
    requestedHypervisor: null,
    excludedHosts: [],
  };
  const changed = JSON.stringify(plain) !== JSON.stringify(request);
  const tenantText = 'No host has anything left: a server must be deleted or a host added first.';
  const first = columns.hosts.length === 0 ? 'There is no compute host.' : 'No host has anything left, or none takes such a request.';
  const asked = askFor(plain);
  for (const add of newHosts(asked)) {
    if (refusal(rules, asked, add) !== null) continue;
    const only = changed ? ', asked for without extra specs, image properties, hints, group or host' : '';
    const text = `${first} A new one with at least ${textOf(add)} would take it${only}.`;
    return { request: changed ? plain : null, host: null, add, text, tenantText };
  }
  const [bare] = newHosts(asked);
  const why = bare ? refusal(rules, asked, bare) : null;
  return { request: null, host: null, add: null, text: `${first} A new one would be refused too: ${why}.`, tenantText };
}

/** From the plainest on. */
function* newHosts({ request, wish }: LiveAsk): Generator<Add> {
  const traits = wish.imageFormat === null ? [] : [`COMPUTE_IMAGE_TYPE_${wish.imageFormat.toUpperCase()}`];
  const aggregates = [null, ...(request.projectId ? [{ filter_tenant_id: request.projectId }] : [])];
  for (const isolated of wish.imageId === null ? [false] : [false, true])
    for (const aggregate of aggregates)
      for (const has of traits.length > 0 ? [[], traits] : [[]])
        yield { amounts: request.amounts, zone: request.availabilityZone, traits: has, aggregate, isolated };
}

/** Who refuses the made-up host, and why; null: nobody. */
function refusal(rules: Rules, ask: LiveAsk, add: Add): string | null {
  const columns = emptyColumns();
  const name = (add.isolated ? rules.options.isolatedHosts[0] : undefined) ?? 'a new host';
  const host = putHost(columns, columns.byName, factsOf(name, add, ask.now), rules.enforced);
  const group = add.aggregate && { id: 0, uuid: '', hosts: [name], metadata: add.aggregate };
  if (group) host.join([group]);
  const there: LiveAsk = { ...ask, aggregates: [...(ask.aggregates ?? []), ...(group ? [group] : [])] };
  for (const question of questions(columns, rules, there)) {
    try {
      const verdict = question.judge(host);
      if (!verdict.ok) return `${question.name} says that ${verdict.why}`;
    } catch (cause) {
      return `${question.name} fails: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
  }
  return null;
}

function factsOf(name: string, { amounts, zone, traits }: Add, now: Micros): HostFacts {
  const of = (total: number) => ({ total, reserved: 0, ratio: 1, capacity: total, used: 0 });
  return {
    ...{ host: name, node: name, uuid: '', hostIp: '127.0.0.1', zone: zone ?? 'nova', stats: {}, traits },
    ...{ disabled: false, disabledReason: null, forcedDown: false, lastSeenAt: now, serviceCreatedAt: now },
    ...{
      hypervisorType: 'QEMU',
      hypervisorVersion: 10_000_000,
      cpuInfo: '{"arch":"x86_64"}',
      supportedInstances: [['x86_64', 'kvm', 'hvm']],
    },
    diskFreeGiB: amounts.DISK_GB,
    inventories: { VCPU: of(amounts.VCPU), MEMORY_MB: of(amounts.MEMORY_MB), DISK_GB: of(amounts.DISK_GB) },
  };
}

function textOf({ amounts: { VCPU, MEMORY_MB, DISK_GB }, zone, traits, aggregate, isolated }: Add): string {
  const words = [`${VCPU} VCPU, ${MEMORY_MB} MiB of memory and ${DISK_GB} GiB of disk`];
  if (zone !== null) words.push(`in availability zone ${zone}`);
  if (traits.length > 0) words.push(`with the trait ${traits.join(', ')}`);
  for (const [key, value] of Object.entries(aggregate ?? {})) words.push(`in an aggregate with ${key} = ${value}`);
  if (isolated) words.push('named in isolated_hosts');
  return words.join(', ').replace(', in availability', ' in availability');
}
