import { type Flavor, guestName } from '../../../model/server.ts';
import { type Notice, novaObject, type Priority, seconds } from './envelope.ts';
import { actionPayload, flavorPayload, instanceFields, type Moment } from './instance-payload.ts';

export type Phase = 'start' | 'end' | 'error';
/** What an event of an instance action is called outside, and what its payload adds. */
interface Kind {
  readonly action: string;
  readonly payload?: readonly [name: string, version: string];
  readonly more?: (moment: Moment, details: Details) => object;
  /** Nova has no `.error` of it: its end says the fault. */
  readonly noError?: true;
  readonly by?: 'nova-api' | 'nova-conductor';
  /** One notification without a phase. */
  readonly single?: true;
}
/** What the change feed said with the change: `{ imageId, volumeId, oldVolumeId, newVolumeId, newFlavor }`. */
export type Details = Readonly<Record<string, unknown>>;
const text = (value: unknown) => (typeof value === 'string' ? value : null);

const create: Kind = {
  action: 'create',
  payload: ['InstanceCreatePayload', '1.13'],
  more: ({ server, tags }) => ({
    keypairs:
      server.keyName === null
        ? []
        : [
            novaObject('KeypairPayload', '1.0', {
              user_id: server.userId,
              name: server.keyName,
              fingerprint: null,
              public_key: server.keyData,
              type: 'ssh',
            }),
          ],
    tags,
    trusted_image_certificates: server.trustedCerts,
    instance_name: guestName(server.id),
  }),
};
const volume: Pick<Kind, 'payload' | 'more'> = {
  payload: ['InstanceActionVolumePayload', '1.7'],
  more: ({ disks }, details) => ({ volume_id: text(details.volumeId) ?? disks.at(-1)?.volumeId ?? null }),
};
const rebuild: Pick<Kind, 'payload' | 'more'> = {
  payload: ['InstanceActionRebuildPayload', '1.10'],
  more: ({ server }) => ({ trusted_image_certificates: server.trustedCerts }),
};
const snapshot: Kind = {
  action: 'snapshot',
  payload: ['InstanceActionSnapshotPayload', '1.10'],
  more: (_moment, details) => ({ snapshot_image_id: text(details.imageId) }),
  noError: true,
};
const plain = (action: string): Kind => ({ action, noError: true });

/** By the event of the instance action.  Spec: notification guide, versioned notifications of instance.*. */
export const kinds: Readonly<Record<string, Kind>> = {
  compute__do_build_and_run_instance: create,
  compute_terminate_instance: plain('delete'),
  compute_soft_delete_instance: plain('soft_delete'),
  compute_restore_instance: plain('restore'),
  compute_start_instance: plain('power_on'),
  compute_stop_instance: plain('power_off'),
  compute_reboot_instance: { action: 'reboot' },
  compute_pause_instance: plain('pause'),
  compute_unpause_instance: plain('unpause'),
  compute_suspend_instance: plain('suspend'),
  compute_resume_instance: plain('resume'),
  compute_rescue_instance: {
    action: 'rescue',
    payload: ['InstanceActionRescuePayload', '1.4'],
    more: (_moment, details) => ({ rescue_image_ref: text(details.imageId) }),
    noError: true,
  },
  compute_unrescue_instance: plain('unrescue'),
  compute_trigger_crash_dump: plain('trigger_crash_dump'),
  compute_rebuild_instance: { action: 'rebuild', ...rebuild },
  rebuild_server: { action: 'rebuild_scheduled', ...rebuild, by: 'nova-conductor', single: true },
  compute_prep_resize: {
    action: 'resize_prep',
    payload: ['InstanceActionResizePrepPayload', '1.4'],
    // A cold migration keeps its flavor.
    more: ({ server }, details) => ({ new_flavor: flavorPayload((details.newFlavor as Flavor | undefined) ?? server.flavor) }),
    noError: true,
  },
  compute_resize_instance: { action: 'resize' },
  compute_finish_resize: plain('resize_finish'),
  compute_confirm_resize: plain('resize_confirm'),
  compute_revert_resize: plain('resize_revert'),
  compute_snapshot_instance: snapshot,
  compute_backup_instance: snapshot,
  compute_shelve_instance: plain('shelve'),
  compute_shelve_offload_instance: plain('shelve_offload'),
  compute_unshelve_instance: plain('unshelve'),
  compute_attach_interface: { action: 'interface_attach' },
  compute_detach_interface: plain('interface_detach'),
  compute_attach_volume: { action: 'volume_attach', ...volume },
  compute_detach_volume: { action: 'volume_detach', ...volume, noError: true },
  compute_swap_volume: {
    action: 'volume_swap',
    payload: ['InstanceActionVolumeSwapPayload', '1.9'],
    more: (_moment, details) => ({ old_volume_id: text(details.oldVolumeId), new_volume_id: text(details.newVolumeId) }),
  },
  compute_pre_live_migration: plain('live_migration_pre'),
  compute_live_migration: plain('live_migration_post'),
  compute_post_live_migration_at_destination: plain('live_migration_post_dest'),
  compute_rollback_live_migration_at_destination: plain('live_migration_rollback_dest'),
  compute_live_migration_abort: plain('live_migration_abort'),
  compute_live_migration_force_complete: plain('live_migration_force_complete'),
  api_lock: { action: 'lock', by: 'nova-api', single: true },
  api_unlock: { action: 'unlock', by: 'nova-api', single: true },
};

/** The notices that one phase of an event brings; [] for events nobody outside knows. `apiHost`: the name under which API and conductor publish. */
export function serverNotices(event: string, phase: Phase, moment: Moment, details: Details, apiHost: string): Notice[] {
  const kind = kinds[event];
  if (!kind || (kind.single && phase !== 'start')) return [];
  const failed = phase === 'error';
  const shown: Phase = failed && kind.noError ? 'end' : phase;
  const [name, version] = kind.payload ?? ['InstanceActionPayload', '1.9'];
  const priority: Priority = shown === 'error' ? 'ERROR' : 'INFO';
  const publisher = kind.by ? `${kind.by}:${apiHost}` : `nova-compute:${moment.server.host ?? apiHost}`;
  const payload = actionPayload(name, version, moment, kind.more?.(moment, details));
  const notice = (word: string): Notice => ({ event: `instance.${word}`, priority, publisher, payload });
  if (kind.single) return [notice(kind.action)];
  const whole = notice(`${kind.action}.${shown}`);
  // Upstream turns a guest off before it is deleted, and says so.
  if (kind.action !== 'delete') return [whole];
  return shown === 'start' ? [whole, notice('shutdown.start')] : [notice('shutdown.end'), whole];
}

/** A change of state.  Spec: notification object InstanceUpdatePayload 2.1. */
export function updateNotice(moment: Moment, old: { vmState: string; taskState: string | null }, apiHost: string): Notice {
  const { server } = moment;
  const begin = new Date(server.updatedAt / 1000);
  begin.setUTCMinutes(0, 0, 0);
  const payload = novaObject('InstanceUpdatePayload', '2.1', {
    ...instanceFields(moment),
    state_update: novaObject('InstanceStateUpdatePayload', '1.0', {
      old_state: old.vmState,
      state: moment.vmState,
      old_task_state: old.taskState,
      new_task_state: moment.taskState,
    }),
    audit_period: novaObject('AuditPeriodPayload', '1.0', {
      audit_period_beginning: seconds(begin.getTime() * 1000),
      audit_period_ending: seconds(server.updatedAt),
    }),
    old_display_name: null,
    tags: moment.tags,
  });
  return { event: 'instance.update', priority: 'INFO', publisher: `nova-compute:${server.host ?? apiHost}`, payload };
}

/** A task of the conductor that ended badly.  Spec: notification object ComputeTaskPayload 1.0. */
export function taskNotice(task: string, moment: Moment, reason: object, apiHost: string): Notice {
  const payload = novaObject('ComputeTaskPayload', '1.0', {
    instance_uuid: moment.server.uuid,
    request_spec: null,
    state: moment.vmState,
    reason,
  });
  return { event: `compute_task.${task}.error`, priority: 'ERROR', publisher: `nova-conductor:${apiHost}`, payload };
}
