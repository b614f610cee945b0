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
  /** Refused while one of these is in progress. */
  readonly notTask?: readonly string[];
  /** Refused for locked servers, except to admins. */
  readonly lock: boolean;
  readonly hostNeeded: boolean;
  readonly launched: boolean;
}
const idle = [null];
const living: readonly VmState[] = ['active', 'paused', 'suspended', 'stopped'];
const pluggable: readonly VmState[] = ['active', 'paused', 'stopped', 'resized', 'soft-delete', 'shelved', 'shelved_offloaded'];
/** What most actions ask: an unlocked server that was launched once, with nothing in progress. */
const usual = { task: idle, lock: true, hostNeeded: false, launched: true } as const;
const anyTime = { lock: false, hostNeeded: false, launched: false } as const;
const console = {
  notTask: ['deleting', 'migrating'],
  lock: false,
  hostNeeded: true,
  launched: false,
} as const;

/** Which states allow which action.  Spec: compute api-ref, preconditions and 409 of each action. */
export const actionRules = {
  delete: { lock: true, hostNeeded: false, launched: false },
  forceDelete: { lock: true, hostNeeded: false, launched: false },
  restore: { vm: ['soft-delete'], ...usual },
  start: { vm: ['stopped'], ...usual, hostNeeded: true },
  stop: { vm: ['active', 'error'], ...usual, hostNeeded: true },
  rebootSoft: { vm: ['active'], ...usual },
  rebootHard: {
    vm: ['active', 'stopped', 'paused', 'suspended', 'error'],
    ...usual,
    task: [null, 'rebooting', 'reboot_pending', 'reboot_started', 'resuming', 'rebooting_hard', 'unpausing', 'pausing', 'suspending'],
  },
  pause: { vm: ['active'], ...usual },
  unpause: { vm: ['paused'], ...usual },
  suspend: { vm: ['active'], ...usual },
  resume: { vm: ['suspended'], ...usual },
  rescue: { vm: ['active', 'stopped', 'error'], ...usual },
  unrescue: { vm: ['rescued'], ...usual },
  changePassword: { vm: ['active'], ...usual },
  rebuild: { vm: ['active', 'stopped', 'error'], ...usual },
  evacuate: { vm: ['active', 'stopped', 'error'], notTask: ['deleting', 'soft-deleting'], lock: false, hostNeeded: false, launched: true },
  resize: { vm: ['active', 'stopped'], ...usual, hostNeeded: true },
  migrate: { vm: ['active', 'stopped'], ...usual, hostNeeded: true },
  confirmResize: { vm: ['resized'], ...usual },
  revertResize: { vm: ['resized'], ...usual },
  liveMigrate: { vm: ['active', 'paused'], ...usual },
  forceCompleteMigration: { vm: ['active'], ...usual, task: ['migrating'] },
  abortMigration: { ...usual, task: ['migrating'] },
  createImage: { vm: living, ...usual, lock: false },
  createBackup: { vm: living, ...usual, lock: false },
  shelve: { vm: living, ...usual },
  shelveOffload: { vm: ['shelved'], ...usual },
  unshelve: { vm: ['shelved', 'shelved_offloaded'], ...usual },
  lock: anyTime,
  unlock: anyTime,
  resetState: anyTime,
  injectNetworkInfo: { ...anyTime, lock: true },
  triggerCrashDump: { vm: ['active', 'paused', 'rescued', 'resized', 'error'], ...usual, hostNeeded: true },
  consoleOutput: { lock: false, hostNeeded: true, launched: false },
  remoteConsole: console,
  addFixedIp: { ...anyTime, lock: true },
  removeFixedIp: { ...anyTime, lock: true },
  addFloatingIp: anyTime,
  removeFloatingIp: anyTime,
  addSecurityGroup: anyTime,
  removeSecurityGroup: anyTime,
  attachInterface: { vm: ['active', 'paused', 'stopped'], ...usual },
  detachInterface: { vm: ['active', 'paused', 'stopped'], ...usual },
  attachVolume: { vm: pluggable, ...usual },
  detachVolume: { vm: pluggable, ...usual },
  swapVolume: { vm: ['active', 'paused', 'resized'], ...usual },
  attachShare: { vm: ['stopped'], ...anyTime },
  detachShare: { vm: ['stopped', 'error'], ...anyTime },
  updateMetadata: { vm: living, lock: true, hostNeeded: false, launched: true },
  deleteMetadata: { vm: living, lock: true, hostNeeded: false, launched: true },
  updateTags: { vm: living, ...anyTime },
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
  if (server.taskState !== null && rule.notTask?.includes(server.taskState))
    return { why: 'state', attribute: 'task_state', value: server.taskState };
  if (rule.launched && server.launchedAt === null) return { why: 'state', attribute: 'launched_at', value: null };
  if (rule.hostNeeded && server.host === null) return { why: 'not-ready' };
  return undefined;
}

/** Task states that follow each other within one action, oldest first. */
const sequences: readonly (readonly string[])[] = [
  ['scheduling', 'networking', 'block_device_mapping', 'spawning'],
  ['image_snapshot_pending', 'image_snapshot', 'image_pending_upload', 'image_uploading'],
  ['image_backup', 'image_pending_upload', 'image_uploading'],
  ['shelving', 'shelving_image_pending_upload', 'shelving_image_uploading', 'shelving_offloading'],
  ['rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning'],
  ['unshelving', 'spawning'],
  ['resize_prep', 'resize_migrating', 'resize_migrated', 'resize_finish'],
];
/** Whether a server in one task state may go on to another, as word of its progress that comes late or twice must not turn it back. */
export const goesOn = (from: string | null, to: string) =>
  from !== null && sequences.some((words) => words.includes(from) && words.indexOf(to) > words.indexOf(from));
