import { type AuditPeriod, type AuditUnit, lastPeriod } from '../../../model/audit-period.ts';
import { flavorPayload, keypairPayload, type Notice, novaObject } from '../../../model/notices.ts';
import { auditPeriodPayload, exceptionPayload } from '../../../model/notices-of-hosts.ts';
import { requestSpecPayload } from '../../../model/notices-of-requests.ts';
import { type Flavor, guestName } from '../../../model/server.ts';
import { actionPayload, instanceFields, type Moment } from './instance-payload.ts';

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
  /** Another action that happens within this one, on the event's own host; both are told. */
  readonly within?: string;
  /** The server is counted as it was until then: when the event begins, or ends.  Spec: Nova's usage notifications. */
  readonly counts?: 'start' | 'end';
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
        : [keypairPayload({ userId: server.userId, name: server.keyName, fingerprint: null, publicKey: server.keyData, type: 'ssh' })],
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
  // Upstream turns a guest off before it is deleted, and says so.
  compute_terminate_instance: { ...plain('delete'), within: 'shutdown' },
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
    counts: 'end',
  },
  compute_unrescue_instance: plain('unrescue'),
  compute_trigger_crash_dump: plain('trigger_crash_dump'),
  compute_rebuild_instance: { action: 'rebuild', ...rebuild, counts: 'start' },
  rebuild_server: { action: 'rebuild_scheduled', ...rebuild, by: 'nova-conductor', single: true },
  compute_prep_resize: {
    action: 'resize_prep',
    payload: ['InstanceActionResizePrepPayload', '1.4'],
    // A cold migration keeps its flavor.
    more: ({ server }, details) => ({ new_flavor: flavorPayload((details.newFlavor as Flavor | undefined) ?? server.flavor) }),
    noError: true,
    counts: 'start',
  },
  compute_resize_instance: { action: 'resize' },
  compute_finish_resize: plain('resize_finish'),
  compute_confirm_resize: plain('resize_confirm'),
  compute_revert_resize: { ...plain('resize_revert'), counts: 'start' },
  compute_snapshot_instance: snapshot,
  compute_backup_instance: snapshot,
  compute_shelve_instance: { ...plain('shelve'), counts: 'start' },
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
  compute_rollback_live_migration_at_destination: { ...plain('live_migration_rollback'), within: 'live_migration_rollback_dest' },
  compute_live_migration_abort: plain('live_migration_abort'),
  compute_live_migration_force_complete: plain('live_migration_force_complete'),
  api_lock: { action: 'lock', by: 'nova-api', single: true },
  api_unlock: { action: 'unlock', by: 'nova-api', single: true },
};

/** Where an event happened, under which name API and conductor publish, when it is, and how long the periods of usage are. */
export interface Place {
  readonly host: string | null;
  readonly apiHost: string;
  readonly at: number;
  readonly auditUnit: AuditUnit;
}
const computePublisher = (host: string | null, { apiHost }: Pick<Place, 'apiHost'>) => `nova-compute:${host ?? apiHost}`;
/** The period of usage that has begun. */
export const presentPeriod = ({ auditUnit, at }: Pick<Place, 'auditUnit' | 'at'>): AuditPeriod => ({
  begin: lastPeriod(auditUnit, at).end,
  end: at,
});

/** The notices that one phase of an event brings; [] for events nobody outside knows. */
export function serverNotices(event: string, phase: Phase, moment: Moment, details: Details, place: Place): Notice[] {
  const kind = kinds[event];
  if (!kind || (kind.single && phase !== 'start')) return [];
  const failed = phase === 'error';
  const shown: Phase = failed && kind.noError ? 'end' : phase;
  const [name, version] = kind.payload ?? ACTION_PAYLOAD;
  const own = kind.within === undefined ? (place.host ?? moment.server.host) : moment.server.host;
  const publisher = kind.by ? `${kind.by}:${place.apiHost}` : computePublisher(own, place);
  const payload = actionPayload(name, version, moment, kind.more?.(moment, details));
  const notice = (word: string): Notice => ({
    event: `instance.${word}`,
    priority: shown === 'error' ? 'ERROR' : 'INFO',
    publisher,
    payload,
  });
  if (kind.single) return [notice(kind.action)];
  const whole = notice(`${kind.action}.${shown}`);
  if (kind.within !== undefined) {
    const inner = { ...notice(`${kind.within}.${shown}`), publisher: computePublisher(place.host ?? own, place) };
    return shown === 'start' ? [whole, inner] : [inner, whole];
  }
  const counted = kind.counts === shown ? [existsNotice(moment, presentPeriod(place), place)] : [];
  return [...counted, whole];
}
const ACTION_PAYLOAD = ['InstanceActionPayload', '1.9'] as const;

/** What the API itself tells of a server, without a phase: 'evacuate'. */
export const apiNotice = (action: string, moment: Moment, { apiHost }: Pick<Place, 'apiHost'>): Notice => ({
  event: `instance.${action}`,
  priority: 'INFO',
  publisher: `nova-api:${apiHost}`,
  payload: actionPayload(...ACTION_PAYLOAD, moment),
});

/** A server that was there in a period.  Spec: notification object InstanceExistsPayload 2.1. */
export const existsNotice = (moment: Moment, { begin, end }: AuditPeriod, place: Pick<Place, 'apiHost'>): Notice => ({
  event: 'instance.exists',
  priority: 'INFO',
  publisher: computePublisher(moment.server.host, place),
  payload: novaObject('InstanceExistsPayload', '2.1', { ...instanceFields(moment), audit_period: auditPeriodPayload(begin, end) }),
});

/** A change of state.  Spec: notification object InstanceUpdatePayload 2.1. */
export function updateNotice(moment: Moment, old: { vmState: string; taskState: string | null }, place: Place): Notice {
  const { begin, end } = presentPeriod(place);
  const payload = novaObject('InstanceUpdatePayload', '2.1', {
    ...instanceFields(moment),
    state_update: novaObject('InstanceStateUpdatePayload', '1.0', {
      old_state: old.vmState,
      state: moment.vmState,
      old_task_state: old.taskState,
      new_task_state: moment.taskState,
    }),
    audit_period: auditPeriodPayload(begin, end),
    old_display_name: null,
    tags: moment.tags,
  });
  return { event: 'instance.update', priority: 'INFO', publisher: computePublisher(moment.server.host, place), payload };
}

/** A task of the conductor that ended badly.  Spec: notification object ComputeTaskPayload 1.0. */
export function taskNotice(
  task: string,
  moment: Moment,
  fault: { code: string; message: string },
  { apiHost }: Pick<Place, 'apiHost'>,
): Notice {
  const payload = novaObject('ComputeTaskPayload', '1.0', {
    instance_uuid: moment.server.uuid,
    request_spec: requestSpecPayload(moment.server, {
      forcedHost: null,
      forcedNode: null,
      requestedHost: null,
      requestedNode: null,
      excludedHosts: [],
      group: null,
    }),
    state: moment.vmState,
    reason: exceptionPayload(fault),
  });
  return { event: `compute_task.${task}.error`, priority: 'ERROR', publisher: `nova-conductor:${apiHost}`, payload };
}
