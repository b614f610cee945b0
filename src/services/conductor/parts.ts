import type { Outside } from '../../bus/announcer.ts';
import type { Bus } from '../../bus/bus.ts';
import type { VolumeClient } from '../../clients/volume.ts';
import type { Database } from '../../db/engine.ts';
import type { Clock, Micros } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { AuditUnit } from '../../model/audit-period.ts';
import type { JobKind } from '../../model/jobs.ts';
import type { PartsRule } from '../../model/machine-parts.ts';
import type { PciAlias } from '../../model/pci/aliases.ts';
import type { ClaimClass } from '../../model/resources.ts';
import type { NetworkInfo, RequestedNetwork } from '../../model/server.ts';

/** What the conductor asks of the network service. */
export interface NetworkPort {
  /** Deletes the ports we made for a server and lets go of those the user brought. Safe twice. */
  release(serverUuid: string): Promise<void>;
  /** Binds a server's ports to the host it goes to (null: to none), and answers them. Safe twice. */
  bind(serverUuid: string, host: string | null): Promise<readonly NetworkInfo[]>;
  /** Makes one more port of a server, or takes up one the user brought. Safe to repeat with the same key; `index`: for the order of its ports. */
  attach(request: AttachPort, wish: RequestedNetwork, place: { readonly index: number; readonly key: string }): Promise<NetworkInfo>;
  /** Gives one port of a server back as `release` does all. Safe twice. */
  detach(serverUuid: string, portId: string): Promise<void>;
}
export interface AttachPort {
  readonly serverUuid: string;
  readonly projectId: string;
  readonly host: string;
  readonly securityGroups: readonly string[];
  readonly zone: string | null;
  readonly hostname: string;
}

/** What the conductor asks of the image service, as the cloud's own user. */
export interface ImagePort {
  /** Safe twice. */
  remove(id: string): Promise<void>;
  /** Makes an image that was registered active without any data; `words` are said of it. Safe twice. */
  settle(id: string, words: Readonly<Record<string, string>>): Promise<void>;
  /** Backups of a server of one type, in any order. */
  backups(serverUuid: string, type: string): Promise<readonly { readonly id: string; readonly createdAt: Micros }[]>;
}

/** What the conductor asks of the block storage service. */
export type VolumePort = Pick<
  VolumeClient,
  | 'create'
  | 'show'
  | 'createSnapshot'
  | 'snapshotsOf'
  | 'removeSnapshot'
  | 'remove'
  | 'reserve'
  | 'connect'
  | 'complete'
  | 'release'
  | 'attachmentsOf'
  | 'rollDetaching'
  | 'completeMigration'
  | 'reimage'
>;

export interface ConductorOptions {
  /** Name of this process in leases; must differ between processes. */
  readonly name: string;
  /** Host name under which it is listed as nova-conductor. */
  readonly host: string;
  /** No other conductor can be alive: whatever is leased was a former self's. */
  readonly alone: boolean;
  /** Jobs driven at once. */
  readonly concurrency: number;
  /** How long a job is ours without a sign of life. */
  readonly leaseMs: number;
  /** How often the job table is looked at when nobody rings. */
  readonly pollMs: number;
  /** First pause before a command to an agent is repeated; doubles up to six times as long. */
  readonly resendMs: number;
  /** How long a scheduler may take to answer.  Spec: rpc_response_timeout. */
  readonly askMs: number;
  /** Spec: [scheduler] max_attempts. */
  readonly maxAttempts: number;
  /** Spec: service_down_time, seconds. */
  readonly serviceDownTime: number;
  /** Spec: cpu_allocation_ratio and its like. */
  readonly ratios: { readonly vcpu: number; readonly memory: number; readonly disk: number };
  /** Classes that claims cap when the config asks for filters of older releases (`enforcedClasses`); null: all. */
  readonly enforced: ReadonlySet<ClaimClass> | null;
  /** Devices by the names flavors ask for them, and which of memory cells and devices a claim caps: those whose filter is enabled. */
  readonly machineParts: { readonly aliases: readonly PciAlias[]; readonly rule: PartsRule };
  /** Spec: reserved_host_cpus, reserved_host_memory_mb, reserved_host_disk_mb (in GiB here). */
  readonly reserved: { readonly vcpu: number; readonly memoryMiB: number; readonly diskGiB: number };
  /** Grace of a guest's own shutdown before it is turned off.  Spec: shutdown_timeout. */
  readonly shutdownGraceMs: number;
  /** How long lines of the change feed, decisions and failed jobs are kept, seconds. */
  readonly keepChanges: number;
  readonly keepDecisions: number;
  readonly keepFailedJobs: number;
  /** How long a repeated create is known by its Idempotency-Key, seconds. */
  readonly keepIdempotencyKeys: number;
  /** Softly deleted servers go for good after so many seconds; 0: never by themselves.  Spec: reclaim_instance_interval. */
  readonly reclaimSeconds: number;
  /** An unconfirmed resize is confirmed after so many seconds; 0: never by itself.  Spec: resize_confirm_window. */
  readonly resizeConfirmSeconds: number;
  /** A shelved server leaves its host after so many seconds; -1: never by itself (0: at once, by the API).  Spec: shelved_offload_time. */
  readonly shelvedOffloadSeconds: number;
  /** How often those two are looked at.  Spec: shelved_poll_interval. */
  readonly movesMs: number;
  /** Whether servers are counted once a period, how long that is, and how often it is looked whether one has ended.
   *  Spec: instance_usage_audit, instance_usage_audit_period. */
  readonly usageAudit: boolean;
  readonly auditUnit: AuditUnit;
  readonly auditMs: number;
  /** Hosts that fetch images ahead of time at once, and how long one may take.  Spec: [image_cache] precache_concurrency, long_rpc_timeout. */
  readonly precacheHosts: number;
  readonly precacheMs: number;
  /** Tests end the process there: 'build-server.place.middle'. */
  readonly crashAt: string | null;
}

export const conductorDefaults: Omit<ConductorOptions, 'name' | 'host'> = {
  alone: false,
  concurrency: 64,
  leaseMs: 15_000,
  pollMs: 1000,
  resendMs: 5000,
  askMs: 10_000,
  maxAttempts: 3,
  serviceDownTime: 60,
  ratios: { vcpu: 4, memory: 1, disk: 1 },
  enforced: null,
  machineParts: { aliases: [], rule: { cells: false, devices: false, pack: false } },
  reserved: { vcpu: 0, memoryMiB: 512, diskGiB: 0 },
  shutdownGraceMs: 60_000,
  keepChanges: 3600,
  keepDecisions: 7 * 86_400,
  keepFailedJobs: 86_400,
  keepIdempotencyKeys: 7 * 86_400,
  reclaimSeconds: 0,
  resizeConfirmSeconds: 0,
  shelvedOffloadSeconds: 0,
  movesMs: 10_000,
  usageAudit: false,
  auditUnit: { unit: 'month', offset: 1 },
  auditMs: 60_000,
  precacheHosts: 1,
  precacheMs: 1_800_000,
  crashAt: null,
};

/** Where a job stands when a test is asked: before a step's effect, in the middle of it, after it, or in its undo. */
export type Phase = 'before' | 'middle' | 'after' | 'undo';
/** Called at each point of each job, `build-server`, `place`, `middle`; may throw to make the step fail there. */
export type OnStep = (kind: JobKind, step: string, phase: Phase) => void;

export interface ConductorParts extends Outside {
  readonly db: Database;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly network: NetworkPort;
  readonly images: ImagePort;
  readonly volumes: VolumePort;
  readonly options: ConductorOptions;
  readonly onStep?: OnStep;
}
