/** Every kind of durable job with its input: what compute-api writes in accept and the conductor reads. Plain data, no token. */
export interface JobInputs {
  'build-server': BuildServerInput;
  'delete-server': DeleteServerInput;
  'power-server': PowerServerInput;
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
export interface PowerServerInput {
  readonly serverUuid: string;
  readonly action: 'start' | 'stop' | 'reboot-soft' | 'reboot-hard';
  /** vm_state to go back to when the action fails. */
  readonly vmStateBefore: string;
}
/** How long each kind may take before its server goes to ERROR with the reason, in seconds; an option overrides. */
export const jobDeadlineSeconds: Readonly<Record<JobKind, number>> = { 'build-server': 1800, 'delete-server': 600, 'power-server': 300 };
/** Word that wakes conductors to look at the job table. */
export const JOBS_RING = 'jobs';
/** Word that wakes readers of the change feed. */
export const CHANGES_RING = 'changes';
