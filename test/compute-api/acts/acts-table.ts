import type { Deed } from '../../../src/hypervisors/fake/misbehaviour.ts';
import type { Action, VmState } from '../../../src/model/server-states.ts';
import { IMAGE } from './house.ts';

/** One action as clients see it. */
export interface ActRow {
  readonly name: string;
  readonly rule: Action;
  /** Its operation in the catalogue. */
  readonly operation: string;
  readonly body: object;
  /** State of the server on which the whole walk is looked at. */
  readonly from: VmState;
  readonly at?: string;
  /** Who may: 'admin' for what only operators do. */
  readonly as?: 'admin';
  readonly status?: number;
  readonly tasks: readonly (string | null)[];
  /** Afterwards; null: as before. */
  readonly result: VmState | null;
  readonly power: number;
  readonly record: string;
  readonly events: readonly string[];
  /** What the hypervisor is told to fail, and the vm_state then (null: as before). */
  readonly deed: Deed;
  readonly failed: VmState | null;
}

/** Actions that a hypervisor does. Tests walk over all of them. */
export const acts: readonly ActRow[] = [
  {
    name: 'pause',
    rule: 'pause',
    operation: 'server-actions:pause',
    body: { pause: null },
    from: 'active',
    tasks: ['pausing', null],
    result: 'paused',
    power: 3,
    record: 'pause',
    events: ['compute_pause_instance'],
    deed: 'pause',
    failed: null,
  },
  {
    name: 'unpause',
    rule: 'unpause',
    operation: 'server-actions:unpause',
    body: { unpause: null },
    from: 'paused',
    tasks: ['unpausing', null],
    result: 'active',
    power: 1,
    record: 'unpause',
    events: ['compute_unpause_instance'],
    deed: 'unpause',
    failed: null,
  },
  {
    name: 'suspend',
    rule: 'suspend',
    operation: 'server-actions:suspend',
    body: { suspend: null },
    from: 'active',
    tasks: ['suspending', null],
    result: 'suspended',
    power: 4,
    record: 'suspend',
    events: ['compute_suspend_instance'],
    deed: 'suspend',
    failed: null,
  },
  {
    name: 'resume',
    rule: 'resume',
    operation: 'server-actions:resume',
    body: { resume: null },
    from: 'suspended',
    tasks: ['resuming', null],
    result: 'active',
    power: 1,
    record: 'resume',
    events: ['compute_resume_instance'],
    deed: 'resume',
    failed: 'error',
  },
  {
    name: 'rescue',
    rule: 'rescue',
    operation: 'server-actions:rescue',
    body: { rescue: null },
    from: 'active',
    status: 200,
    tasks: ['rescuing', null],
    result: 'rescued',
    power: 1,
    record: 'rescue',
    events: ['compute_rescue_instance'],
    deed: 'rescue',
    failed: 'error',
  },
  {
    name: 'unrescue',
    rule: 'unrescue',
    operation: 'server-actions:unrescue',
    body: { unrescue: null },
    from: 'rescued',
    tasks: ['unrescuing', null],
    result: 'active',
    power: 1,
    record: 'unrescue',
    events: ['compute_unrescue_instance'],
    deed: 'unrescue',
    failed: 'error',
  },
  {
    name: 'changePassword',
    rule: 'changePassword',
    operation: 'server-actions:changePassword',
    body: { changePassword: { adminPass: 'a new secret' } },
    from: 'active',
    tasks: ['updating_password', null],
    result: null,
    power: 1,
    record: 'changePassword',
    events: ['compute_set_admin_password'],
    deed: 'setPassword',
    failed: null,
  },
  {
    name: 'trigger_crash_dump',
    rule: 'triggerCrashDump',
    operation: 'server-actions:trigger_crash_dump',
    body: { trigger_crash_dump: null },
    from: 'active',
    at: '2.17',
    tasks: [],
    result: null,
    power: 1,
    record: 'trigger_crash_dump',
    events: ['compute_trigger_crash_dump'],
    deed: 'crashDump',
    failed: null,
  },
  {
    name: 'createImage',
    rule: 'createImage',
    operation: 'server-actions:createImage',
    body: { createImage: { name: 'copy' } },
    from: 'active',
    tasks: ['image_snapshot_pending', 'image_snapshot', 'image_pending_upload', 'image_uploading', null],
    result: null,
    power: 1,
    record: 'createImage',
    events: ['compute_snapshot_instance'],
    deed: 'snapshot',
    failed: null,
  },
  {
    name: 'createBackup',
    rule: 'createBackup',
    operation: 'server-actions:createBackup',
    body: { createBackup: { name: 'copy', backup_type: 'daily', rotation: 2 } },
    from: 'active',
    tasks: ['image_backup', 'image_pending_upload', 'image_uploading', null],
    result: null,
    power: 1,
    record: 'createBackup',
    events: ['compute_backup_instance'],
    deed: 'snapshot',
    failed: null,
  },
  {
    name: 'rebuild',
    rule: 'rebuild',
    operation: 'server-actions:rebuild',
    body: { rebuild: { imageRef: IMAGE } },
    from: 'active',
    tasks: ['rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning', null],
    result: 'active',
    power: 1,
    record: 'rebuild',
    events: ['rebuild_server', 'compute_rebuild_instance'],
    deed: 'spawn',
    failed: 'error',
  },
];
