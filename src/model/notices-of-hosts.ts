import { type Notice, novaObject, seconds } from './notices.ts';

/** What went wrong. Modules and lines are upstream's own; here they name the catalogue of errors.  Spec: notification object ExceptionPayload 1.1. */
export const exceptionPayload = (fault: { readonly code: string; readonly message: string }) =>
  novaObject('ExceptionPayload', '1.1', {
    module_name: 'kilonova.errors',
    function_name: fault.code,
    exception: fault.code,
    exception_message: fault.message,
    traceback: '',
  });

/** Something that was asked for failed.  Spec: notification guide, compute.exception. */
export const exceptionNotice = (publisher: string, fault: { readonly code: string; readonly message: string }): Notice => ({
  event: 'compute.exception',
  priority: 'ERROR',
  publisher,
  payload: exceptionPayload(fault),
});

/** Microseconds, both.  Spec: notification object AuditPeriodPayload 1.0. */
export const auditPeriodPayload = (begin: number, end: number) =>
  novaObject('AuditPeriodPayload', '1.0', { audit_period_beginning: seconds(begin), audit_period_ending: seconds(end) });

/** What a monitor measured: shares from 0 to 1, frequencies in MHz, times in ns. */
export interface Measured {
  readonly name: string;
  readonly value: number;
}
/** Who measured, and when (microseconds). */
export interface HostMeasures {
  readonly host: string;
  readonly hostIp: string;
  readonly node: string;
  /** The kind of hypervisor. */
  readonly source: string;
  readonly at: number;
  readonly metrics: readonly Measured[];
}
const isShare = (name: string) => name.endsWith('.percent');

/** Whole percents.  Spec: notification object MetricsPayload 1.0. */
export const metricsPayload = ({ host, hostIp, node, source, at, metrics }: HostMeasures) =>
  novaObject('MetricsPayload', '1.0', {
    host,
    host_ip: hostIp,
    nodename: node,
    metrics: metrics.map(({ name, value }) =>
      novaObject('MetricPayload', '1.0', {
        name,
        value: Math.round(isShare(name) ? value * 100 : value),
        numa_membw_values: null,
        timestamp: seconds(at),
        source,
      }),
    ),
  });
/** Shares from 0 to 1, as telemetry reads them. */
export const legacyMetrics = ({ host, hostIp, node, source, at, metrics }: HostMeasures) => ({
  host,
  host_ip: hostIp,
  nodename: node,
  metrics: metrics.map(({ name, value }) => ({ name, value, timestamp: new Date(at / 1000).toISOString().replace('Z', '000'), source })),
});

/** What guests read from and wrote to a volume, ever since it was first counted. */
export interface VolumeUse {
  readonly volumeId: string;
  readonly serverUuid: string;
  readonly projectId: string;
  readonly userId: string;
  readonly availabilityZone: string | null;
  /** Microseconds. */
  readonly at: number;
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writeBytes: number;
}
const counts = (use: VolumeUse) => ({
  reads: use.reads,
  read_bytes: use.readBytes,
  writes: use.writes,
  write_bytes: use.writeBytes,
});
/** Spec: notification object VolumeUsagePayload 1.0. */
export const volumeUsagePayload = (use: VolumeUse) =>
  novaObject('VolumeUsagePayload', '1.0', {
    volume_id: use.volumeId,
    project_id: use.projectId,
    user_id: use.userId,
    availability_zone: use.availabilityZone,
    instance_uuid: use.serverUuid,
    last_refreshed: seconds(use.at),
    ...counts(use),
  });
export const legacyVolumeUse = (use: VolumeUse) => ({
  volume_id: use.volumeId,
  tenant_id: use.projectId,
  user_id: use.userId,
  availability_zone: use.availabilityZone,
  instance_id: use.serverUuid,
  last_refreshed: seconds(use.at)?.replace('T', ' ').replace('Z', '+00:00') ?? '',
  ...counts(use),
});

/** How caching images went on one host, the `index`th of `total`.  Spec: notification object AggregateCachePayload 1.0. */
export const aggregateCachePayload = (
  aggregate: { readonly id: number; readonly uuid: string; readonly name: string },
  went: {
    readonly host: string;
    readonly cached: readonly string[];
    readonly failed: readonly string[];
    readonly index: number;
    readonly total: number;
  },
) =>
  novaObject('AggregateCachePayload', '1.0', {
    id: aggregate.id,
    uuid: aggregate.uuid,
    name: aggregate.name,
    host: went.host,
    images_cached: went.cached,
    images_failed: went.failed,
    index: went.index,
    total: went.total,
  });
