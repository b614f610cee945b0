// Which events which test must hear: the catalogue test holds their union against the whole catalogue.
const phased = (noun: string, words: string, phases: readonly string[]) =>
  words.split(' ').flatMap((word) => phases.map((phase) => `${noun}.${word}.${phase}`));
const both = ['start', 'end'];

/** What servers go through on a cloud of two fake hosts; test/stories/notification-samples.slow.test.ts hears each. */
export const serverEvents: readonly string[] = [
  ...phased('instance', 'create reboot rebuild volume_attach volume_swap interface_attach resize', [...both, 'error']),
  ...phased(
    'instance',
    'delete soft_delete restore power_on power_off pause unpause suspend resume rescue unrescue trigger_crash_dump snapshot volume_detach interface_detach shutdown',
    both,
  ),
  ...phased('instance', 'resize_prep resize_finish resize_confirm resize_revert shelve shelve_offload unshelve', both),
  ...phased(
    'instance',
    'live_migration_pre live_migration_post live_migration_post_dest live_migration_rollback live_migration_rollback_dest live_migration_abort live_migration_force_complete',
    both,
  ),
  ...['rebuild_scheduled', 'lock', 'unlock', 'update', 'exists', 'evacuate'].map((word) => `instance.${word}`),
];
/** What happens around them there. */
export const hostEvents: readonly string[] = [
  ...phased('aggregate', 'cache_images', [...both, 'progress']),
  ...phased('scheduler', 'select_destinations', both),
  ...['build_instances', 'migrate_server', 'rebuild_server'].map((task) => `compute_task.${task}.error`),
  ...['compute.exception', 'metrics.update', 'volume.usage'],
];
/** What the API alone does; test/compute-api/notices.test.ts hears each. */
export const nounEvents: readonly string[] = [
  ...['create', 'update', 'delete'].flatMap((word) => [`flavor.${word}`, `service.${word}`]),
  ...phased('keypair', 'import create delete', both),
  ...['create', 'add_member', 'delete'].map((word) => `server_group.${word}`),
  ...phased('aggregate', 'create add_host update_metadata update_prop remove_host delete', both),
];
