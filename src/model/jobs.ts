import type { Micros } from '../lib/clock.ts';
import type { JobContext } from './caller.ts';
import type { WireError } from './errors.ts';
import type { GuestActionName } from './guest-actions.ts';
import type { Flavor, ImageSnapshot, RequestedNetwork } from './server.ts';

/** Every kind of durable job with its input: what compute-api writes in accept and the conductor reads. Plain data, no token. */
export interface JobInputs {
  'build-server': BuildServerInput;
  'delete-server': DeleteServerInput;
  'act-on-server': ActOnServerInput;
  'attach-interface': AttachInterfaceInput;
  'detach-interface': DetachInterfaceInput;
  'snapshot-server': SnapshotServerInput;
  'snapshot-volumes': SnapshotVolumesInput;
  'rebuild-server': RebuildServerInput;
  'attach-volume': VolumeJobInput;
  'detach-volume': VolumeJobInput;
  'extend-volume': VolumeJobInput;
  'move-server': MoveServerInput;
  'confirm-resize': EndResizeInput;
  'revert-resize': EndResizeInput;
  'live-migrate': LiveMigrateInput;
  'evacuate-server': EvacuateServerInput;
  'shelve-server': ShelveServerInput;
  'offload-server': OffloadServerInput;
  'unshelve-server': UnshelveServerInput;
  'tidy-host': TidyHostInput;
  'swap-volume': SwapVolumeInput;
  'settle-request': SettleRequestInput;
}
export type JobKind = keyof JobInputs;

export interface BuildServerInput {
  readonly serverUuid: string;
  /** Wiped from the row when the job ends. */
  readonly adminPass: string | null;
  /** Files of `personality`, base64 by path (to 2.56). */
  readonly injectedFiles: readonly { readonly path: string; readonly contents: string }[];
  /** Host and hypervisor the request names: `az:host:node` (forced: filters are not asked) or 2.74's host / hypervisor_hostname (filters are asked). */
  readonly forcedHost: string | null;
  readonly forcedNode: string | null;
  readonly requestedHost: string | null;
  readonly requestedHypervisor: string | null;
  /** Group the scheduler hint names, or null. */
  readonly groupUuid: string | null;
}
export interface DeleteServerInput {
  readonly serverUuid: string;
  readonly force: boolean;
}
export interface VolumeJobInput {
  readonly serverUuid: string;
  /** Uuid of the block device. */
  readonly device: string;
}
export interface SwapVolumeInput extends VolumeJobInput {
  readonly oldVolumeId: string;
  readonly oldAttachment: string;
  readonly newVolumeId: string;
  /** It is set aside for the server already. */
  readonly newAttachment: string;
}
/** Volumes a request is about to set aside for a server that may not exist yet, or to take from it, and an image it registers for it. */
export interface SettleRequestInput {
  readonly serverUuid: string;
  readonly volumeIds: readonly string[];
  readonly imageId: string | null;
}
export interface ActOnServerInput {
  readonly serverUuid: string;
  readonly action: GuestActionName;
  /** What the deed is given, as its shape in `guestDeeds` says; a password in it is wiped when the job ends. */
  readonly args: Readonly<Record<string, unknown>>;
  /** vm_state to go back to when the action fails. */
  readonly vmStateBefore: string;
  /** Of a restore: when the server was deleted softly. */
  readonly softDeletedAt?: Micros;
}
export interface SnapshotServerInput {
  readonly serverUuid: string;
  /** The image that was registered for it, still without data. */
  readonly imageId: string;
  /** Null: a snapshot. `rotation`: how many backups of the type are kept. */
  readonly backup: { readonly type: string; readonly rotation: number } | null;
}
export interface SnapshotVolumesInput {
  readonly serverUuid: string;
  /** The image that was registered for it, still without data. */
  readonly imageId: string;
  readonly imageName: string;
}
export interface RebuildServerInput {
  readonly serverUuid: string;
  /** Wiped from the row when the job ends. */
  readonly adminPass: string | null;
  readonly injectedFiles: readonly { readonly path: string; readonly contents: string }[];
  readonly preserveEphemeral: boolean;
  /** Of a server on volumes: this image is written over its root. */
  readonly reimage?: string;
  readonly vmStateBefore: string;
  /** The image it had, when it gets another; null: it keeps it. */
  readonly imageBefore: { readonly id: string | null; readonly image: ImageSnapshot | null } | null;
}
export interface AttachInterfaceInput {
  readonly serverUuid: string;
  /** The network, or the port the user brought with its network. */
  readonly wish: RequestedNetwork;
}
export interface DetachInterfaceInput {
  readonly serverUuid: string;
  readonly portId: string;
}
/** A resize (with a flavor) or a cold migration (without). */
export interface MoveServerInput {
  readonly serverUuid: string;
  /** Row of the move, which is also the consumer that holds the claim on the host it came from. */
  readonly migrationUuid: string;
  readonly flavor: Flavor | null;
  /** Named by the operator; the filters are asked. */
  readonly host: string | null;
  /** Whether it may stay where it is. */
  readonly sameHost: boolean;
  readonly vmStateBefore: string;
}
export interface EndResizeInput {
  readonly serverUuid: string;
  readonly migrationUuid: string;
}
export interface LiveMigrateInput {
  readonly serverUuid: string;
  readonly migrationUuid: string;
  readonly host: string | null;
  /** The host is taken as it is; no filter is asked. */
  readonly force: boolean;
  readonly vmStateBefore: string;
}
export interface EvacuateServerInput extends LiveMigrateInput {
  /** Leave it stopped on its new host, whatever it was. */
  readonly stopped: boolean;
  /** Wiped from the row when the job ends. */
  readonly adminPass: string | null;
}
export interface ShelveServerInput {
  readonly serverUuid: string;
  /** Registered for it, still without data; null: its disks are volumes. */
  readonly imageId: string | null;
  /** Leave the host at once. */
  readonly offload: boolean;
  readonly vmStateBefore: string;
}
export interface OffloadServerInput {
  readonly serverUuid: string;
}
export interface UnshelveServerInput {
  readonly serverUuid: string;
  readonly vmStateBefore: string;
  readonly host: string | null;
  /** Its pin before the request changed it: put back when that fails. */
  readonly zoneBefore: string | null;
}
/** What is left of a server on a host it has gone from. */
export interface TidyHostInput {
  readonly serverUuid: string;
  readonly host: string;
  /** The owner epoch up to which that host's guest is meant. */
  readonly epoch: number;
}
/** How a step of a job stands. `started` is written before the step has any effect. */
export type StepMark = 'started' | 'finished' | 'undone';
/** What is written down of a job on its way. */
export interface JobProgress {
  readonly steps: Readonly<Record<string, StepMark>>;
  /** What steps leave behind for later ones and for their undo. */
  readonly notes: Readonly<Record<string, unknown>>;
  /** The first failure: from then on the job only unwinds. */
  readonly failure?: WireError;
}
export const freshProgress: JobProgress = { steps: {}, notes: {} };

/** A job as its conductor holds it. `attempt` rises each time it is taken: with the lease's owner it fences off an owner that lost it. */
export interface Job<K extends JobKind = JobKind> {
  readonly id: number;
  readonly uuid: string;
  readonly kind: K;
  readonly serverUuid: string;
  readonly input: JobInputs[K];
  readonly progress: JobProgress;
  readonly attempt: number;
  readonly context: JobContext;
  readonly deadline: Micros;
  readonly createdAt: Micros;
}

/** How long each kind may take before its server goes to ERROR with the reason, in seconds; an option overrides. */
export const jobDeadlineSeconds: Readonly<Record<JobKind, number>> = {
  'build-server': 1800,
  'delete-server': 600,
  'act-on-server': 300,
  'attach-interface': 60, // its request waits for it
  'detach-interface': 300,
  'snapshot-server': 7200,
  'snapshot-volumes': 7200,
  'rebuild-server': 1800,
  'attach-volume': 300,
  'detach-volume': 300,
  'extend-volume': 300,
  'move-server': 7200,
  'confirm-resize': 300,
  'revert-resize': 3600,
  'live-migrate': 7200,
  'evacuate-server': 3600,
  'shelve-server': 7200,
  'offload-server': 600,
  'unshelve-server': 3600,
  'tidy-host': 600,
  'swap-volume': 7200,
  'settle-request': 86_400,
};
/** Jobs of one server run one after the other; one of a higher priority goes first and ends the others. */
export const jobPriority: Readonly<Record<JobKind, number>> = {
  'build-server': 0,
  'delete-server': 100,
  'act-on-server': 0,
  'attach-interface': 0,
  'detach-interface': 0,
  'snapshot-server': 0,
  'snapshot-volumes': 0,
  'rebuild-server': 0,
  'attach-volume': 0,
  'detach-volume': 0,
  'extend-volume': 0,
  'move-server': 0,
  'confirm-resize': 0,
  'revert-resize': 0,
  'live-migrate': 0,
  'evacuate-server': 0,
  'shelve-server': 0,
  'offload-server': 0,
  'unshelve-server': 0,
  'tidy-host': 0,
  'swap-volume': 0,
  'settle-request': -1, // waits for all others, who do not wait for it
};
/** Word that wakes conductors to look at the job table. */
export const JOBS_RING = 'jobs';
/** Word that wakes readers of the change feed. */
export const CHANGES_RING = 'changes';
