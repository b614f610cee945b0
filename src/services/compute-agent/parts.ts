import type { Readable } from 'node:stream';
import type { Bus } from '../../bus/bus.ts';
import type { BuildCommand } from '../../bus/contracts/compute-agent.ts';
import type { CacheRules, Driver, GuestSpec, ImageRef } from '../../hypervisors/driver.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { NetworkInfo, RequestedNetworks } from '../../model/server.ts';

/** What the agent asks of the network service. */
export interface NetworkPort {
  /** Gives a server its ports; asked again for the same server it answers the same ones. */
  allocate(wish: {
    serverUuid: string;
    projectId: string;
    host: string;
    requested: RequestedNetworks;
    securityGroups: readonly string[];
    zone: string | null;
    hostname: string;
  }): Promise<readonly NetworkInfo[]>;
  /** Safe twice. */
  release(serverUuid: string): Promise<void>;
}
/** What the agent asks of the image service. */
export interface ImagePort {
  /** Size and hash are null for an image without data. */
  show(id: string): Promise<{ diskFormat: string | null; sizeBytes: number | null; hashAlgo: string | null; hashValue: string | null }>;
  download(id: string): Promise<Readable>;
  /** Data of an image that exists without any; tried again after a failure. */
  upload(id: string, disk: { readonly diskFormat: string; readonly data: Readable }): Promise<void>;
}
/** Brings guests' requests to 169.254.169.254 to the metadata service, each by a socket of its own. */
export interface MetadataRelay {
  /** Opens the guest's socket (again) and answers its path; null when this host gives no metadata. */
  open(guest: { uuid: string; projectId: string; addresses: readonly string[] }, onFirstRequest?: () => void): Promise<string | null>;
  /** Safe twice. */
  close(uuid: string): Promise<void>;
}
/** Files of a guest's config drive by path, base64. */
export type ConfigDrive = (command: BuildCommand, networks: readonly NetworkInfo[]) => Promise<Readonly<Record<string, string>>>;

export const runningDeletedActions = ['reap', 'shutdown', 'log', 'noop'] as const;
export type RunningDeletedAction = (typeof runningDeletedActions)[number];

export interface AgentOptions {
  /** Name of the host; unique in the cloud. */
  readonly host: string;
  readonly hostIp: string;
  readonly stateDir: string;
  /** What the host says of itself besides, for filters: { rack: 'r7' }. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Builds at once; 0: no limit.  Spec: max_concurrent_builds. */
  readonly concurrency: number;
  /** Live migrations that leave at once; 0: no limit.  Spec: max_concurrent_live_migrations. */
  readonly liveMigrations: number;
  /** Also waits until the disk has what the journal says: survives a power cut, not only a killed process. */
  readonly durable: boolean;
  /** Spec: report_interval. */
  readonly reportMs: number;
  /** 0: only at the start.  Spec: update_resources_interval. */
  readonly inventoryMs: number;
  /** 0: only at the start.  Spec: sync_power_state_interval. */
  readonly syncMs: number;
  /** Guests that shall run and are off when the agent starts are started.  Spec: resume_guests_state_on_host_boot. */
  readonly resumeGuests: boolean;
  /** What is done, at the earliest so long after the deletion, with guests of deleted servers; `pollMs` 0: only when guests are compared.
   *  Spec: running_deleted_instance_action, _timeout, _poll_interval. */
  readonly runningDeleted: { readonly action: RunningDeletedAction; readonly timeoutMs: number; readonly pollMs: number };
  /** How often the image cache is looked through (0: never), and what goes then.  Spec: [image_cache]. */
  readonly imageCache: CacheRules & { readonly everyMs: number };
  /** A step that takes longer is told to the conductor as task state. */
  readonly progressMs: number;
  /** How often what guests do to their volumes is counted; 0: never.  Spec: volume_usage_poll_interval. */
  readonly volumeUsageMs: number;
  /** First pause before an outcome that was not acknowledged is said again. */
  readonly resendMs: number;
  /** How long a conductor may take to answer. */
  readonly askMs: number;
  /** How long disks of a guest that another host owns now are kept. */
  readonly keepDisksMs: number;
  /** How long `stop` waits for builds in hand before it leaves them to the next start. */
  readonly stopGraceMs: number;
}
export const agentDefaults: Omit<AgentOptions, 'host' | 'stateDir'> = {
  hostIp: '127.0.0.1',
  attributes: {},
  concurrency: 10,
  liveMigrations: 1,
  durable: false,
  reportMs: 10_000,
  inventoryMs: 60_000,
  syncMs: 600_000,
  resumeGuests: false,
  runningDeleted: { action: 'reap', timeoutMs: 0, pollMs: 1_800_000 },
  imageCache: { everyMs: 2_400_000, removeUnused: true, minimumAgeMs: 86_400_000, limitBytes: 0 },
  progressMs: 50,
  volumeUsageMs: 0,
  resendMs: 500,
  askMs: 10_000,
  keepDisksMs: 86_400_000,
  stopGraceMs: 2000,
};

export interface AgentParts {
  readonly driver: Driver;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly network: NetworkPort;
  readonly image: ImagePort;
  readonly relay?: MetadataRelay;
  readonly configDrive?: ConfigDrive;
  readonly options: AgentOptions;
  /** What monitors measure now: [{ name: 'cpu.percent', value: 0.3 }]; none without it.  Spec: compute_monitors. */
  readonly metrics?: () => readonly { readonly name: string; readonly value: number }[];
  /** Tells what guests did to their volumes so far; absent where that is not counted. Set by the agent itself. */
  readonly volumesUsed?: (guests: readonly GuestSpec[]) => Promise<void>;
  /** Called before and after each step of a build; tests strike there: it may throw, or end the process. */
  readonly onStep?: (step: string, phase: 'before' | 'after') => void;
  /** Aborts the waiting for a conductor at start. */
  readonly signal?: AbortSignal;
  /** Called once when another agent took this host over: nothing is done here any more. */
  readonly onFenced?: (cause: unknown) => void;
}
export type { Driver, GuestSpec, ImageRef };
