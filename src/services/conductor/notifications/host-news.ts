import type { Announcer } from '../../../bus/announcer.ts';
import type { Input } from '../../../bus/bus.ts';
import type { conductorContract } from '../../../bus/contracts/conductor.ts';
import { countVolume, volumeTotals } from '../../../db/tables/compute/volume-usages.ts';
import type { Micros } from '../../../lib/clock.ts';
import { notice } from '../../../model/notices.ts';
import {
  type HostMeasures,
  legacyMetrics,
  legacyVolumeUse,
  type Measured,
  metricsPayload,
  type VolumeUse,
  volumeUsagePayload,
} from '../../../model/notices-of-hosts.ts';
import type { ConductorParts } from '../parts.ts';
import { mustOwnHost } from '../server-reports.ts';
import { legacyPublisher } from './legacy.ts';

type Messages = (typeof conductorContract)['messages'];

/** What a host's monitors measured is told on.  Spec: notification guide, metrics.update. */
export async function tellMetrics(
  announcer: Announcer,
  { host, at, report }: { readonly host: string; readonly at: Micros; readonly report: Input<Messages['reportHost']>['report'] },
): Promise<void> {
  const metrics = (Array.isArray(report?.stats.metrics) ? report.stats.metrics : []).filter(isMeasured);
  if (!report || metrics.length === 0) return;
  const measures: HostMeasures = {
    host,
    hostIp: report.hostIp,
    node: report.hypervisorHostname,
    source: report.hypervisorType,
    at,
    metrics,
  };
  const event = notice(`nova-compute:${host}`, 'metrics.update', metricsPayload(measures));
  const publisher = legacyPublisher(`nova-compute:${measures.node}`);
  await announcer.tell(event, at, { event: 'compute.metrics.update', publisher, payload: legacyMetrics(measures) });
}
const isMeasured = (one: unknown): one is Measured =>
  typeof one === 'object' &&
  one !== null &&
  'name' in one &&
  typeof one.name === 'string' &&
  'value' in one &&
  typeof one.value === 'number';

/** Keeps what guests of a host read from and wrote to their volumes.  Throws staleAgent.  Spec: nova.conf volume_usage_poll_interval. */
export async function keepVolumeUse({ db }: ConductorParts, tell: Input<Messages['reportVolumeUsage']>): Promise<void> {
  await db.transaction(async (tx) => {
    await mustOwnHost(tx, tell);
    for (const { volumeId, serverUuid, ...counts } of tell.uses)
      await countVolume(tx, db.kind, { volumeId, serverUuid, now: tell.at }, counts);
  });
}

/** Tells each volume's use on, as it is kept.  Spec: notification guide, volume.usage. */
export async function tellVolumeUse(
  { db }: Pick<ConductorParts, 'db'>,
  announcer: Announcer,
  { at, host, uses }: Input<Messages['reportVolumeUsage']>,
): Promise<void> {
  if (uses.length === 0) return;
  const totals = await volumeTotals(
    db.read,
    uses.map((use) => use.volumeId),
  );
  const servers = await db.read
    .selectFrom('servers')
    .select(['uuid', 'project_id', 'user_id', 'availability_zone'])
    .where('uuid', 'in', [...new Set(uses.map((use) => use.serverUuid))])
    .execute();
  for (const { volumeId, serverUuid } of uses) {
    const server = servers.find((one) => one.uuid === serverUuid);
    const total = totals.get(volumeId);
    if (!server || !total) continue;
    const owner = { projectId: server.project_id, userId: server.user_id, availabilityZone: server.availability_zone };
    const use: VolumeUse = { volumeId, serverUuid, ...owner, at, ...total };
    const event = notice(`nova-compute:${host}`, 'volume.usage', volumeUsagePayload(use));
    await announcer.tell(event, at, { event: 'volume.usage', publisher: legacyPublisher(event.publisher), payload: legacyVolumeUse(use) });
  }
}
