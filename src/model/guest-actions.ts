/** An action that is one deed to a guest where it stands: what it is called, what the server is while it lasts and after it. */
export interface GuestAction {
  /** What the agent is asked for: a name of `guestDeeds`. */
  readonly deed: string;
  /** Nova's name of the instance action, and of the event under it. */
  readonly action: string;
  readonly event: string;
  /** Task state at the request, and from the moment the host is asked; null: the task state is left alone. */
  readonly taskState: string | null;
  readonly running: string | null;
  /** Afterwards; null: unchanged. */
  readonly vmState: string | null;
  readonly power: 'running' | 'paused' | 'shutdown' | 'suspended' | null;
  /** What a failure makes of the server: what it was before, or ERROR. */
  readonly failed: 'restore' | 'error';
  /** Begins or ends a soft delete: who is deleted softly holds no quota. */
  readonly softDelete?: 'begins' | 'ends';
}

/** Spec: compute guide "Server Concepts"; api-ref, each action.  Task states, events and results as Nova's. */
export const guestActions = {
  start: {
    deed: 'powerOn',
    action: 'start',
    event: 'compute_start_instance',
    taskState: 'powering-on',
    running: 'powering-on',
    vmState: 'active',
    power: 'running',
    failed: 'restore',
  },
  stop: {
    deed: 'powerOff',
    action: 'stop',
    event: 'compute_stop_instance',
    taskState: 'powering-off',
    running: 'powering-off',
    vmState: 'stopped',
    power: 'shutdown',
    failed: 'restore',
  },
  'reboot-soft': {
    deed: 'reboot',
    action: 'reboot',
    event: 'compute_reboot_instance',
    taskState: 'rebooting',
    running: 'reboot_started',
    vmState: 'active',
    power: 'running',
    failed: 'restore',
  },
  'reboot-hard': {
    deed: 'reboot',
    action: 'reboot',
    event: 'compute_reboot_instance',
    taskState: 'rebooting_hard',
    running: 'reboot_started_hard',
    vmState: 'active',
    power: 'running',
    failed: 'restore',
  },
  pause: {
    deed: 'pause',
    action: 'pause',
    event: 'compute_pause_instance',
    taskState: 'pausing',
    running: 'pausing',
    vmState: 'paused',
    power: 'paused',
    failed: 'restore',
  },
  unpause: {
    deed: 'unpause',
    action: 'unpause',
    event: 'compute_unpause_instance',
    taskState: 'unpausing',
    running: 'unpausing',
    vmState: 'active',
    power: 'running',
    failed: 'restore',
  },
  suspend: {
    deed: 'suspend',
    action: 'suspend',
    event: 'compute_suspend_instance',
    taskState: 'suspending',
    running: 'suspending',
    vmState: 'suspended',
    power: 'shutdown',
    failed: 'restore',
  },
  resume: {
    deed: 'resume',
    action: 'resume',
    event: 'compute_resume_instance',
    taskState: 'resuming',
    running: 'resuming',
    vmState: 'active',
    power: 'running',
    failed: 'error',
  },
  rescue: {
    deed: 'rescue',
    action: 'rescue',
    event: 'compute_rescue_instance',
    taskState: 'rescuing',
    running: 'rescuing',
    vmState: 'rescued',
    power: 'running',
    failed: 'error',
  },
  unrescue: {
    deed: 'unrescue',
    action: 'unrescue',
    event: 'compute_unrescue_instance',
    taskState: 'unrescuing',
    running: 'unrescuing',
    vmState: 'active',
    power: 'running',
    failed: 'error',
  },
  changePassword: {
    deed: 'setPassword',
    action: 'changePassword',
    event: 'compute_set_admin_password',
    taskState: 'updating_password',
    running: 'updating_password',
    vmState: null,
    power: null,
    failed: 'restore',
  },
  'soft-delete': {
    deed: 'powerOff',
    action: 'delete',
    event: 'compute_soft_delete_instance',
    taskState: 'soft-deleting',
    running: 'soft-deleting',
    vmState: 'soft-delete',
    power: 'shutdown',
    failed: 'restore',
    softDelete: 'begins',
  },
  restore: {
    deed: 'powerOn',
    action: 'restore',
    event: 'compute_restore_instance',
    taskState: 'restoring',
    running: 'restoring',
    vmState: 'active',
    power: 'running',
    failed: 'restore',
    softDelete: 'ends',
  },
  triggerCrashDump: {
    deed: 'crashDump',
    action: 'trigger_crash_dump',
    event: 'compute_trigger_crash_dump',
    taskState: null,
    running: null,
    vmState: null,
    power: null,
    failed: 'restore',
  },
} as const satisfies Record<string, GuestAction>;
export type GuestActionName = keyof typeof guestActions;
