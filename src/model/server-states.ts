/** What a server is doing, in the words of the API, and what may be asked of it meanwhile: the one table for API and dashboard. */
export const vmStates = [
  'active',
  'building',
  'paused',
  'suspended',
  'stopped',
  'rescued',
  'resized',
  'soft-delete',
  'deleted',
  'error',
  'shelved',
  'shelved_offloaded',
] as const;
export type VmState = (typeof vmStates)[number];

const rebuild = { rebuilding: 'REBUILD', rebuild_block_device_mapping: 'REBUILD', rebuild_spawning: 'REBUILD' };
const resize = { resize_prep: 'RESIZE', resize_migrating: 'RESIZE', resize_migrated: 'RESIZE', resize_finish: 'RESIZE' };

/** Status by vm_state, then by task_state; `default` for every other task.  Spec: compute guide "Server Concepts", status and states. */
export const statusTable: Readonly<Record<VmState, Readonly<Record<string, string>> & { readonly default: string }>> = {
  active: {
    default: 'ACTIVE',
    rebooting: 'REBOOT',
    reboot_pending: 'REBOOT',
    reboot_started: 'REBOOT',
    rebooting_hard: 'HARD_REBOOT',
    reboot_pending_hard: 'HARD_REBOOT',
    reboot_started_hard: 'HARD_REBOOT',
    updating_password: 'PASSWORD',
    ...rebuild,
    migrating: 'MIGRATING',
    ...resize,
  },
  building: { default: 'BUILD' },
  paused: { default: 'PAUSED', migrating: 'MIGRATING' },
  suspended: { default: 'SUSPENDED' },
  stopped: { default: 'SHUTOFF', ...resize, ...rebuild },
  rescued: { default: 'RESCUE' },
  resized: { default: 'VERIFY_RESIZE', resize_reverting: 'REVERT_RESIZE' },
  'soft-delete': { default: 'SOFT_DELETED' },
  deleted: { default: 'DELETED' },
  error: { default: 'ERROR', ...rebuild },
  shelved: { default: 'SHELVED' },
  shelved_offloaded: { default: 'SHELVED_OFFLOADED' },
};

/** The status users see. UNKNOWN for a vm_state outside the table. */
export function statusOf(vmState: string, taskState: string | null): string {
  if (!Object.hasOwn(statusTable, vmState)) return 'UNKNOWN';
  const row = statusTable[vmState as VmState];
  return taskState !== null && taskState !== 'default' && Object.hasOwn(row, taskState) ? (row[taskState] ?? row.default) : row.default;
}

/** The states that statuses stand for, any letter case. `taskStates` is null when a default row is among them: then any task matches.
 *  Empty `vmStates`: none of the statuses is known. */
export function statesOf(statuses: readonly string[]): { vmStates: string[]; taskStates: string[] | null } {
  const asked = new Set(statuses.map((status) => status.toUpperCase()));
  const vm = new Set<string>();
  const tasks = new Set<string>();
  for (const [vmState, row] of Object.entries(statusTable))
    for (const [task, status] of Object.entries(row))
      if (asked.has(status)) {
        vm.add(vmState);
        tasks.add(task);
      }
  return { vmStates: [...vm].sort(), taskStates: tasks.has('default') ? null : [...tasks].sort() };
}

/** Statuses with a progress, and with a fault, in views. */
export const hasProgress = (status: string) => ['ACTIVE', 'BUILD', 'REBUILD', 'RESIZE', 'VERIFY_RESIZE', 'MIGRATING'].includes(status);
export const hasFault = (status: string) => status === 'ERROR' || status === 'DELETED';

/** When an action may be asked. Absent lists: in any state. `task: [null]` means that nothing may be in progress. */
export interface ActionRule {
  readonly vm?: readonly VmState[];
  readonly task?: readonly (string | null)[];
  /** Refused for locked servers, except to admins. */
  readonly lock: boolean;
  readonly hostNeeded: boolean;
  readonly launched: boolean;
}
const idle = [null];
const living: readonly VmState[] = ['active', 'paused', 'suspended', 'stopped'];

/** Which states allow which action.  Spec: compute api-ref, preconditions and 409 of each action. */
export const actionRules = {
  delete: { lock: true, hostNeeded: false, launched: false },
  start: { vm: ['stopped'], task: idle, lock: true, hostNeeded: true, launched: true },
  stop: { vm: ['active', 'error'], task: idle, lock: true, hostNeeded: true, launched: true },
  rebootSoft: { vm: ['active'], task: idle, lock: true, hostNeeded: false, launched: true },
  rebootHard: {
    vm: ['active', 'stopped', 'paused', 'suspended', 'error'],
    task: [null, 'rebooting', 'reboot_pending', 'reboot_started', 'resuming', 'rebooting_hard', 'unpausing', 'pausing', 'suspending'],
    lock: true,
    hostNeeded: false,
    launched: true,
  },
  consoleOutput: { lock: false, hostNeeded: true, launched: false },
  updateMetadata: { vm: living, lock: true, hostNeeded: false, launched: true },
  deleteMetadata: { vm: living, lock: true, hostNeeded: false, launched: true },
} as const satisfies Record<string, ActionRule>;
export type Action = keyof typeof actionRules;

/** Why an action is refused, or undefined when it is allowed. `attribute` and `value` name what stands in the way. */
export type Refusal =
  | { readonly why: 'locked' }
  | { readonly why: 'not-ready' }
  | { readonly why: 'state'; readonly attribute: 'vm_state' | 'task_state' | 'launched_at'; readonly value: string | null };

interface State {
  readonly vmState: string;
  readonly taskState: string | null;
  readonly host: string | null;
  readonly launchedAt: number | null;
  readonly locked: boolean;
}
export function refusalOf(action: Action, server: State, asAdmin: boolean): Refusal | undefined {
  const rule: ActionRule = actionRules[action];
  if (rule.lock && server.locked && !asAdmin) return { why: 'locked' };
  if (rule.hostNeeded && !rule.vm && server.host === null) return { why: 'not-ready' };
  if (rule.vm && !rule.vm.some((state) => state === server.vmState)) {
    return { why: 'state', attribute: 'vm_state', value: server.vmState };
  }
  if (rule.task && !rule.task.includes(server.taskState)) return { why: 'state', attribute: 'task_state', value: server.taskState };
  if (rule.launched && server.launchedAt === null) return { why: 'state', attribute: 'launched_at', value: null };
  if (rule.hostNeeded && server.host === null) return { why: 'not-ready' };
  return undefined;
}
