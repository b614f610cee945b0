import type { Generated } from 'kysely';
import type { TaskLogTable, VolumeUsagesTable } from './notice-tables.ts';
import type { ConsoleTokensTable, ServerPasswordsTable } from './token-tables.ts';

// Columns are in snake_case as in SQL; the functions beside this file turn rows into the nouns of src/model. Bool: 0/1. At: microseconds UTC.
type Bool = number;
type At = number;
type JsonText = string;

export interface FlavorsTable {
  id: Generated<number>;
  flavorid: string;
  name: string;
  vcpus: number;
  memory_mib: number;
  root_gib: number;
  ephemeral_gib: number;
  swap_mib: number;
  rxtx_factor: number;
  is_public: Bool;
  disabled: Bool;
  description: string | null;
  extra_specs: JsonText;
  created_at: At;
  updated_at: At | null;
}
export interface FlavorProjectsTable {
  flavor_id: number;
  project_id: string;
}
export interface KeypairsTable {
  id: Generated<number>;
  user_id: string;
  name: string;
  type: string;
  fingerprint: string;
  public_key: string;
  created_at: At;
}
export interface ServersTable {
  id: Generated<number>;
  uuid: string;
  reservation_id: string;
  project_id: string;
  user_id: string;
  name: string;
  description: string | null;
  hostname: string;
  vm_state: string;
  task_state: string | null;
  /** When the task state must have ended; a reconciler looks after those past it. */
  task_deadline: At | null;
  power_state: number;
  progress: number;
  /** Agent host and hypervisor it is on; null before the first placement. */
  host: string | null;
  node: string | null;
  launched_on: string | null;
  cell_uuid: string;
  /** Owner epoch: rises on each placement; reports of older ones are refused. */
  epoch: number;
  flavor_id: string;
  /** The flavor as it was: { name, vcpus, memoryMiB, rootGiB, ephemeralGiB, swapMiB, extraSpecs, ... }. */
  flavor: JsonText;
  image_id: string | null;
  /** The image as it was: { id, name, diskFormat, minDiskGiB, minMemoryMiB, properties, ... }, or null. */
  image: JsonText | null;
  key_name: string | null;
  key_data: string | null;
  user_data: string | null;
  config_drive: string;
  availability_zone: string | null;
  access_ip_v4: string | null;
  access_ip_v6: string | null;
  disk_config: string;
  root_device_name: string | null;
  launch_index: number;
  metadata: JsonText;
  /** What the create asked of networks, resolved: a list of { networkId?, portId?, fixedIp?, tag? } or 'none' / 'auto'. */
  requested_networks: JsonText;
  security_groups: JsonText;
  /** Ports and their addresses as last known: what the addresses view shows without asking the network service. */
  network_info: JsonText;
  block_devices: JsonText;
  scheduler_hints: JsonText;
  trusted_certs: JsonText | null;
  /** { code, message, details, created } of the newest fault, or null. */
  fault: JsonText | null;
  locked: Bool;
  locked_reason: string | null;
  /** 'owner' or 'admin'; null: not locked. */
  locked_by: string | null;
  created_at: At;
  updated_at: At;
  launched_at: At | null;
  terminated_at: At | null;
  /** 0, or the row's own id: lets unique keys hold only for the living. */
  deleted: number;
  deleted_at: At | null;
  /** When it was deleted softly: it then holds no quota. Null: not, or taken back. */
  soft_deleted_at: At | null;
  /** Rises with every change: rendered views are kept by it. */
  revision: number;
}
export interface ServerTagsTable {
  server_id: number;
  tag: string;
}
export interface ServerGroupsTable {
  id: Generated<number>;
  uuid: string;
  project_id: string;
  user_id: string;
  name: string;
  policy: string;
  /** { max_server_per_host?: n } */
  rules: JsonText;
  created_at: At;
}
export interface ServerGroupMembersTable {
  group_uuid: string;
  server_uuid: string;
}
/** How many members of a group stand on a host: the row on which the group's rule is decided in the placing transaction. */
export interface ServerGroupHostsTable {
  group_uuid: string;
  host: string;
  members: number;
}
/** Instance actions: one row for what a user asked of a server. */
export interface ServerActionsTable {
  id: Generated<number>;
  server_uuid: string;
  action: string;
  request_id: string;
  project_id: string;
  user_id: string;
  started_at: At;
  finished_at: At | null;
  updated_at: At;
  message: string | null;
}
export interface ServerActionEventsTable {
  id: Generated<number>;
  action_id: number;
  event: string;
  host: string | null;
  started_at: At;
  finished_at: At | null;
  result: string | null;
  details: string | null;
}
/** A service of the cloud (nova-compute on host X): its liveness. */
export interface ServicesTable {
  id: Generated<number>;
  uuid: string;
  host: string;
  binary: string;
  topic: string;
  zone: string;
  disabled: Bool;
  disabled_reason: string | null;
  forced_down: Bool;
  last_seen_at: At | null;
  report_count: number;
  created_at: At;
  updated_at: At | null;
}
/** One hypervisor: Nova's compute node. */
export interface HypervisorsTable {
  id: Generated<number>;
  uuid: string;
  service_id: number;
  host: string;
  hypervisor_hostname: string;
  hypervisor_type: string;
  hypervisor_version: number;
  host_ip: string;
  cpu_info: JsonText;
  supported_instances: JsonText;
  traits: JsonText;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  disk_free_gib: number;
  uptime: string | null;
  /** Attributes of its own that an agent reports: anything filters may read. */
  stats: JsonText;
  /** Epoch of the agent that owns this host; taken by compare-and-set when one registers. */
  agent_epoch: number;
  created_at: At;
  updated_at: At;
}
export interface QuotaUsagesTable {
  project_id: string;
  /** '' for the project as a whole. */
  user_id: string;
  resource: string;
  used: number;
}
export interface QuotaLimitsTable {
  project_id: string;
  user_id: string;
  resource: string;
  hard_limit: number;
}
/** A long operation: its steps, its owner (lease), its deadline. Durability is this table's alone. */
export interface JobsTable {
  id: Generated<number>;
  uuid: string;
  kind: string;
  server_uuid: string | null;
  /** 'queued' | 'running' | 'waiting' | 'done' | 'failed'. Waiting: an agent works on it. */
  status: string;
  /** What the job is about, plain data; never a token. */
  input: JsonText;
  /** { [step]: 'started' | 'finished' | 'undone' } and what steps leave behind. */
  progress: JsonText;
  attempt: number;
  /** Jobs of one server run one after the other; delete overtakes. */
  priority: number;
  context: JsonText;
  lease_owner: string | null;
  lease_until: At;
  not_before: At;
  deadline: At;
  error: JsonText | null;
  created_at: At;
  updated_at: At;
}
/** Idempotency-Key of a POST and the answer it got. */
export interface IdempotencyKeysTable {
  project_id: string;
  key: string;
  body_hash: string;
  server_uuid: string;
  reservation_id: string;
  created_at: At;
}
/** A decision of the scheduler, kept with its reasons. */
export interface DecisionsTable {
  id: Generated<number>;
  uuid: string;
  request_id: string;
  project_id: string;
  server_uuid: string;
  attempt: number;
  decided_at: At;
  /** What was asked, as the scheduler saw it. */
  request: JsonText;
  config_hash: string;
  feed_position: number;
  seed: number;
  /** Hosts in the order chosen, with weights. */
  chosen: JsonText;
  /** { seen, filters: [{ name, before, after, reasons: [{ why, hosts }] }], nearestMiss, smallestChange }. */
  reasons: JsonText;
}
/** A set of hosts with metadata that filters and weighers read. Its zone is the metadata's `availability_zone`. */
export interface AggregatesTable {
  id: Generated<number>;
  uuid: string;
  name: string;
  metadata: JsonText;
  created_at: At;
  updated_at: At | null;
}
export interface AggregateHostsTable {
  aggregate_id: number;
  host: string;
}
/** Builds that failed on a host since the last one that succeeded there. */
export interface HostBuildFailuresTable {
  host: string;
  failed: number;
}
/** One move of a server. `type`: 'migration' | 'resize' | 'live-migration' | 'evacuation'; `status` in Nova's words. */
export interface ServerMigrationsTable {
  id: Generated<number>;
  uuid: string;
  server_uuid: string;
  project_id: string;
  user_id: string;
  type: string;
  status: string;
  source_host: string | null;
  source_node: string | null;
  dest_host: string | null;
  dest_node: string | null;
  dest_ip: string | null;
  /** Flavors as in `servers.flavor`; null where the move changes none. */
  old_flavor: JsonText | null;
  new_flavor: JsonText | null;
  /** { memoryTotal, memoryProcessed, memoryRemaining, diskTotal, diskProcessed, diskRemaining } in bytes, as far as known. */
  progress: JsonText;
  /** vm_state before the move: what a confirm or a revert ends in. */
  old_vm_state: string | null;
  /** 'abort' or 'force-complete': what was asked of it on its way. */
  wish: string | null;
  created_at: At;
  updated_at: At | null;
}
/** The image a shelved server waits in; none when its disks are volumes. */
export interface ServerShelvesTable {
  server_uuid: string;
  image_id: string | null;
  shelved_at: At;
}
/** One disk of a server: Nova's block device mapping. Rows go when the disk is detached or the server deleted. */
export interface BlockDevicesTable {
  id: Generated<number>;
  uuid: string;
  server_uuid: string;
  /** 'image' | 'volume' | 'snapshot' | 'blank' */
  source_type: string;
  /** 'local' | 'volume' */
  destination_type: string;
  /** 0: the root disk; null: none of the bootable. */
  boot_index: number | null;
  /** '/dev/vda'; null until named. */
  device_name: string | null;
  disk_bus: string | null;
  device_type: string | null;
  guest_format: string | null;
  volume_size_gib: number | null;
  volume_type: string | null;
  image_id: string | null;
  snapshot_id: string | null;
  volume_id: string | null;
  /** The volume service's attachment; null until made. */
  attachment_id: string | null;
  /** Its connection_info; never shown to tenants. */
  connection: JsonText | null;
  delete_on_termination: Bool;
  tag: string | null;
  created_at: At;
  updated_at: At | null;
}
/** What changed; written in the transaction that changes it. A sequencer numbers committed rows; consumers read by that number. */
export interface ChangesTable {
  id: Generated<number>;
  /** Null until numbered. */
  seq: number | null;
  noun: string;
  key: string;
  what: string;
  project_id: string | null;
  body: JsonText;
  at: At;
}
/** Roles that one process holds at a time: the sequencer, the reconciler. */
export interface LeasesTable {
  name: string;
  owner: string;
  until: At;
  /** The sequencer's last number. */
  value: number;
}

/** A share that a server mounts.  Spec: microversion 2.97. */
export interface ServerSharesTable {
  id: Generated<number>;
  uuid: string;
  server_uuid: string;
  share_id: string;
  /** 'active', 'inactive', 'attaching', 'detaching', 'error'. */
  status: string;
  tag: string;
  export_location: string | null;
  share_proto: string | null;
  created_at: At;
  updated_at: At | null;
}

export interface ComputeTables {
  flavors: FlavorsTable;
  flavor_projects: FlavorProjectsTable;
  keypairs: KeypairsTable;
  servers: ServersTable;
  server_tags: ServerTagsTable;
  server_groups: ServerGroupsTable;
  server_group_members: ServerGroupMembersTable;
  server_group_hosts: ServerGroupHostsTable;
  server_actions: ServerActionsTable;
  server_action_events: ServerActionEventsTable;
  services: ServicesTable;
  hypervisors: HypervisorsTable;
  quota_usages: QuotaUsagesTable;
  quota_limits: QuotaLimitsTable;
  jobs: JobsTable;
  idempotency_keys: IdempotencyKeysTable;
  decisions: DecisionsTable;
  changes: ChangesTable;
  leases: LeasesTable;
  aggregates: AggregatesTable;
  aggregate_hosts: AggregateHostsTable;
  host_build_failures: HostBuildFailuresTable;
  server_migrations: ServerMigrationsTable;
  server_shelves: ServerShelvesTable;
  block_devices: BlockDevicesTable;
  server_shares: ServerSharesTable;
  console_tokens: ConsoleTokensTable;
  task_log: TaskLogTable;
  volume_usages: VolumeUsagesTable;
  server_passwords: ServerPasswordsTable;
}
