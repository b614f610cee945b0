import type { Action } from '../../../src/model/server-states.ts';
import { serverFields } from '../../support/server-fields.ts';

/** How one operation is asked well, and what it answers to what is not there. Places `{noun}` stand for ids of the world (world.ts). */
export interface Row {
  /** Microversion; the newest that the route has when absent. */
  readonly at?: string;
  /** Who may ask; a member of the demo project when absent. */
  readonly as?: 'admin';
  /** The path, where its words are not the nouns that `nounOf` guesses. */
  readonly path?: string;
  readonly query?: string;
  readonly body?: unknown;
  /** Answer to a well-formed id of nothing, by path parameter: 404 unless told, and why. */
  readonly missing?: Readonly<Record<string, readonly [status: number, why: string]>>;
  /** Answer to an id that cannot be one: 404 unless told, and why. */
  readonly malformed?: Readonly<Record<string, readonly [status: number, why: string, ids?: readonly string[]]>>;
  /** What strangers get for another project's object, where it is not 404, and why. */
  readonly foreign?: readonly [status: number, why: string];
  /** Why its 404 names nothing. */
  readonly nameless?: string;
  /** Fields of the body (`a.b.0.c`) that name what is not there: the value, the answer, a word of its sentence. */
  readonly absent?: readonly (readonly [field: string, value: unknown, status: number, word: RegExp])[];
  /** Which states allow it. */
  readonly state?: Action;
  /** Its name in the catalogue of states, where it is not `server-actions:<word>`. */
  readonly stateId?: string;
  /** The action's name in the sentence, where it is not the word of its body. */
  readonly word?: string;
  /** Other forms of the same operation. */
  readonly also?: readonly Omit<Row, 'also'>[];
}

const NOWHERE = '00000000-0000-4000-8000-00000000dead';
const admin = { as: 'admin' } as const;
const notFound = /could not be found|not found|does not exist|No .* found|not associated|Can not find|cannot be found|Cannot find/i;
const novasWords = { nameless: 'the sentence is Nova’s own' } as const;
const noProject = [400, 'the identity service knows no such project'] as const;
const others = [403, 'the rule is held against the asker’s project before anything is looked for'] as const;
const otherKey = [400, 'the body names another key'] as const;
const stateFirst = [409, 'the state of the server is looked at first'] as const;
const refusedAll = (status: number) =>
  ({ missing: { id: [status, 'all are refused'] }, malformed: { id: [status, 'all are refused'] } }) as const;
const adminsOnly = { foreign: [403, 'for operators only'] } as const;
const anyId = [200, 'a project that never was anything here has used nothing'] as const;
const number = [400, 'the id is a number'] as const;
const uuid = [400, 'the id is a uuid'] as const;

export const PUBLIC_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8xKXq3Tn0oD0vQYjq5rH0m8mB1jS4kqH1cKJmYvU2X someone@somewhere';
const server = {
  ...serverFields,
  networks: [{ uuid: '{network}', fixed_ip: '172.24.200.200', tag: 'x' }],
  key_name: '{keypair}',
  hostname: 'hh',
  trusted_image_certificates: null,
  block_device_mapping_v2: [
    {
      ...{ boot_index: 0, uuid: '{image}', source_type: 'image', destination_type: 'volume', delete_on_termination: true, tag: 't' },
      ...{ device_name: '/dev/vda', device_type: 'disk', disk_bus: 'virtio', volume_size: 1, volume_type: null },
    },
  ],
};
const oldServer = {
  name: 'n',
  flavorRef: '{flavor}',
  imageRef: '{image}',
  networks: [{ uuid: '{network}' }],
  personality: [{ path: '/etc/x', contents: 'aGVsbG8=' }],
  block_device_mapping: [{ device_name: 'vda', volume_id: '{volume}', volume_size: 1, delete_on_termination: false, no_device: null }],
};
const limits = { instances: 10, cores: 10, ram: 10, metadata_items: 1, key_pairs: 1, server_groups: 1, server_group_members: 1 };
const files = { injected_files: 1, injected_file_content_bytes: 1, injected_file_path_bytes: 1 };
const oldNetworks = { floating_ips: 1, fixed_ips: 1, security_groups: 1, security_group_rules: 1 };

/** Every operation that is served, by its key in the program's own table of routes. */
export const rows: Readonly<Record<string, Row>> = {
  'GET /': {},
  'GET /versions/:id': { path: '/versions/v2.1', ...novasWords },
  'GET /extensions': {},
  'GET /extensions/:alias': { path: '/extensions/os-agents', ...novasWords },

  'GET /flavors': {},
  'GET /flavors/detail': {},
  'POST /flavors': {
    ...admin,
    body: {
      flavor: {
        ...{ name: '{new}', id: '{new}', ram: 64, vcpus: 1, disk: 1, 'OS-FLV-EXT-DATA:ephemeral': 0, swap: 0 },
        ...{ 'os-flavor-access:is_public': true, description: 'd' },
      },
    },
    also: [{ ...admin, at: '2.101', body: { flavor: { name: '{new}', ram: 64, vcpus: 1, disk: 1, rxtx_factor: 1 } } }],
  },
  'GET /flavors/:id': {},
  'PUT /flavors/:id': { ...admin, body: { flavor: { description: 'd' } } },
  'DELETE /flavors/:id': admin,
  'GET /flavors/:id/os-flavor-access': { ...admin, ...adminsOnly, path: '/flavors/{closedFlavor}/os-flavor-access' },
  'POST /flavors/:id/action#addTenantAccess': {
    ...admin,
    path: '/flavors/{closedFlavor}/action',
    ...adminsOnly,
    body: { addTenantAccess: { tenant: '{demoProject}' } },
    absent: [['addTenantAccess.tenant', 'f'.repeat(32), 400, /f{32} is not a valid project/]],
  },
  'POST /flavors/:id/action#removeTenantAccess': {
    ...admin,
    path: '/flavors/{closedFlavor}/action',
    ...adminsOnly,
    body: { removeTenantAccess: { tenant: '{demoProject}' } },
    absent: [['removeTenantAccess.tenant', 'f'.repeat(32), 404, /f{32}/]],
  },
  'GET /flavors/:id/os-extra_specs': {},
  'POST /flavors/:id/os-extra_specs': { ...admin, body: { extra_specs: { 'hw:cpu_policy': 'shared' } } },
  'GET /flavors/:id/os-extra_specs/:key': {},
  'PUT /flavors/:id/os-extra_specs/:key': {
    ...admin,
    body: { '{spec}': 'shared' },
    missing: { key: otherKey },
    malformed: { key: otherKey },
  },
  'DELETE /flavors/:id/os-extra_specs/:key': admin,

  'GET /os-keypairs': {},
  'POST /os-keypairs': {
    body: { keypair: { name: '{new}', public_key: PUBLIC_KEY, type: 'ssh', user_id: '{user}' } },
    also: [{ at: '2.1', body: { keypair: { name: '{new}', public_key: PUBLIC_KEY } } }],
  },
  'GET /os-keypairs/:name': {},
  'DELETE /os-keypairs/:name': {},

  'GET /limits': {},
  'GET /os-quota-sets/:id': { path: '/os-quota-sets/{demoProject}', missing: { id: others }, malformed: { id: others } },
  'GET /os-quota-sets/:id/defaults': {
    ...{ ...admin, path: '/os-quota-sets/{demoProject}/defaults', missing: { id: noProject }, malformed: { id: noProject } },
    also: [
      {
        path: '/os-quota-sets/{demoProject}/defaults',
        missing: { id: [200, 'a member may not ask for projects, which is no reason to refuse'] },
        malformed: { id: [200, 'as above'] },
      },
    ],
  },
  'GET /os-quota-sets/:id/detail': {
    path: '/os-quota-sets/{demoProject}/detail',
    missing: { id: others },
    malformed: { id: others },
  },
  'PUT /os-quota-sets/:id': {
    ...admin,
    path: '/os-quota-sets/{demoProject}',
    body: { quota_set: { ...limits, force: true } },
    missing: { id: noProject },
    malformed: { id: noProject },
    also: [
      {
        ...{ ...admin, path: '/os-quota-sets/{demoProject}', at: '2.35', body: { quota_set: { ...limits, ...files, ...oldNetworks } } },
        ...{ missing: { id: noProject }, malformed: { id: noProject } },
      },
    ],
  },
  'DELETE /os-quota-sets/:id': {
    ...{ ...admin, path: '/os-quota-sets/{demoProject}' },
    missing: { id: [202, 'there is nothing to forget'] },
    malformed: { id: [202, 'as above'] },
  },
  'GET /os-quota-class-sets/:id': {
    ...admin,
    path: '/os-quota-class-sets/default',
    missing: { id: [200, 'a class of any name has the limits of the default'] },
    malformed: { id: [400, 'a name has 255 signs at most', ['x'.repeat(300)]] },
  },
  'PUT /os-quota-class-sets/:id': {
    ...admin,
    path: '/os-quota-class-sets/default',
    body: { quota_class_set: limits },
    missing: { id: [200, 'a class begins to be when it is set'] },
    malformed: { id: [400, 'a name has 255 signs at most', ['x'.repeat(300)]] },
    also: [
      {
        ...{
          ...admin,
          path: '/os-quota-class-sets/default',
          at: '2.49',
          body: { quota_class_set: { ...limits, ...files, ...oldNetworks } },
        },
        missing: { id: [200, 'a class begins to be when it is set'] },
        malformed: { id: [400, 'a name has 255 signs at most', ['x'.repeat(300)]] },
      },
    ],
  },

  'GET /os-availability-zone': {},
  'GET /os-availability-zone/detail': admin,
  'GET /os-hypervisors': admin,
  'GET /os-hypervisors/detail': admin,
  'GET /os-hypervisors/statistics': admin,
  'GET /os-hypervisors/:id': {
    ...admin,
    malformed: { id: uuid },
    also: [{ ...admin, at: '2.52', path: '/os-hypervisors/1' }],
  },
  'GET /os-hypervisors/:id/uptime': { ...admin, malformed: { id: uuid } },
  'GET /os-hypervisors/:id/search': { ...admin, path: '/os-hypervisors/{hostname}/search' },
  'GET /os-hypervisors/:id/servers': { ...admin, path: '/os-hypervisors/{hostname}/servers' },
  'GET /os-services': admin,
  'PUT /os-services/:id': {
    ...admin,
    body: { status: 'disabled', disabled_reason: 'r', forced_down: true },
    malformed: { id: uuid },
    also: [
      { ...admin, ...novasWords, at: '2.52', path: '/os-services/disable', body: { host: '{host}', binary: 'nova-compute' } },
      {
        ...{ ...admin, ...novasWords, at: '2.52', path: '/os-services/disable-log-reason' },
        body: { host: '{host}', binary: 'nova-compute', disabled_reason: 'r' },
        absent: [['host', 'nowhere', 404, /nowhere/]],
      },
      {
        ...admin,
        ...novasWords,
        at: '2.11',
        path: '/os-services/force-down',
        body: { host: '{host}', binary: 'nova-compute', forced_down: 'true' },
      },
    ],
  },
  'DELETE /os-services/:id': { ...admin, malformed: { id: uuid } },
  'GET /os-hosts': admin,
  'GET /os-hosts/:id': { ...admin, path: '/os-hosts/{host}' },
  'PUT /os-hosts/:id': { ...admin, path: '/os-hosts/{host}', body: { status: 'enable', maintenance_mode: 'disable' } },
  'GET /os-hosts/:id/reboot': { ...admin, path: '/os-hosts/{host}/reboot' },
  'GET /os-hosts/:id/shutdown': { ...admin, path: '/os-hosts/{host}/shutdown' },
  'GET /os-hosts/:id/startup': { ...admin, path: '/os-hosts/{host}/startup' },

  'GET /os-aggregates': admin,
  'POST /os-aggregates': { ...admin, body: { aggregate: { name: '{new}', availability_zone: 'z' } } },
  'GET /os-aggregates/:id': { ...admin, malformed: { id: number } },
  'PUT /os-aggregates/:id': { ...admin, body: { aggregate: { name: '{new}', availability_zone: 'z' } }, malformed: { id: number } },
  'DELETE /os-aggregates/:id': { ...admin, malformed: { id: number } },
  'POST /os-aggregates/:id/action#add_host': {
    ...admin,
    body: { add_host: { host: '{host}' } },
    malformed: { id: number },
    absent: [['add_host.host', 'nowhere', 404, /nowhere/]],
  },
  'POST /os-aggregates/:id/action#remove_host': {
    ...admin,
    body: { remove_host: { host: '{host}' } },
    malformed: { id: number },
    absent: [['remove_host.host', 'nowhere', 404, /nowhere/]],
  },
  'POST /os-aggregates/:id/action#set_metadata': { ...admin, body: { set_metadata: { metadata: { a: 'b' } } }, malformed: { id: number } },
  'POST /os-aggregates/:id/images': { ...admin, body: { cache: [{ id: '{image}' }] }, malformed: { id: number } },

  'GET /os-simple-tenant-usage': admin,
  'GET /os-simple-tenant-usage/:id': {
    path: '/os-simple-tenant-usage/{demoProject}',
    ...admin,
    missing: { id: anyId },
    malformed: { id: anyId },
  },
  'GET /os-instance_usage_audit_log': admin,
  'GET /os-instance_usage_audit_log/:before': {
    ...admin,
    path: '/os-instance_usage_audit_log/2026-01-01 00:00:00',
    missing: { before: [400, 'it is a time'] },
    malformed: { before: [400, 'it is a time'] },
  },

  'GET /os-server-groups': {},
  'POST /os-server-groups': {
    body: { server_group: { name: '{new}', policy: 'anti-affinity', rules: { max_server_per_host: 1 } } },
    also: [{ at: '2.63', body: { server_group: { name: '{new}', policies: ['soft-affinity'] } } }],
  },
  'GET /os-server-groups/:id': { foreign: [403, 'Nova’s groups are looked for first, then the rule says no'] },
  'DELETE /os-server-groups/:id': { foreign: [403, 'as above'] },

  'GET /servers': {},
  'GET /servers/detail': {},
  'POST /servers': {
    body: { server },
    absent: [
      ['server.flavorRef', 'nothing', 400, /nothing/],
      ['server.imageRef', NOWHERE, 400, /Can not find requested image/],
      ['server.key_name', 'nokey', 400, /key_name/],
      ['server.networks.0.uuid', NOWHERE, 400, /dead/],
      ['server.security_groups.0.name', 'nogroup', 400, /nogroup/],
      ['server.availability_zone', 'nozone', 400, /nozone|availability zone/],
      ['server.block_device_mapping_v2.0.uuid', NOWHERE, 400, /dead|image/i],
    ],
    also: [
      { at: '2.36', body: { server: oldServer } },
      {
        body: {
          server: { name: 'n', flavorRef: '{flavor}', imageRef: '{image}', networks: 'none' },
          'os:scheduler_hints': { group: '{group}' },
        },
        absent: [['os:scheduler_hints.group', NOWHERE, 400, /dead/]],
      },
      {
        body: { server: { name: 'n', flavorRef: '{flavor}', imageRef: '{image}', networks: [{ port: '{port}' }] } },
        absent: [['server.networks.0.port', NOWHERE, 400, /dead/]],
      },
      {
        ...admin,
        body: {
          server: {
            ...{ name: 'n', flavorRef: '{flavor}', imageRef: '{image}', networks: 'none', host: '{host}' },
            ...{ hypervisor_hostname: '{hostname}' },
          },
        },
        absent: [
          ['server.host', 'nowhere', 400, /nowhere/],
          ['server.hypervisor_hostname', 'nowhere', 400, /Compute host/],
        ],
      },
    ],
  },
  'GET /servers/:id': {},
  'PUT /servers/:id': {
    body: {
      server: {
        ...{ name: 'm', 'OS-DCF:diskConfig': 'AUTO', accessIPv4: '1.1.1.1', accessIPv6: '::1', description: 'd', hostname: 'hh' },
      },
    },
    also: [{ at: '2.1', body: { server: { name: 'm' } } }, { body: { server: { pinned_availability_zone: 'nova' } } }],
  },
  'DELETE /servers/:id': { state: 'delete', stateId: 'servers:delete', word: 'delete' },

  'POST /servers/:id/action#os-start': { body: { 'os-start': null }, state: 'start', word: 'start' },
  'POST /servers/:id/action#os-stop': { body: { 'os-stop': null }, state: 'stop', word: 'stop' },
  'POST /servers/:id/action#reboot': {
    body: { reboot: { type: 'SOFT' } },
    state: 'rebootSoft',
    also: [{ body: { reboot: { type: 'HARD' } }, state: 'rebootHard' }],
  },
  'POST /servers/:id/action#forceDelete': { body: { forceDelete: null }, state: 'forceDelete' },
  'POST /servers/:id/action#restore': { body: { restore: null }, state: 'restore' },
  'POST /servers/:id/action#pause': { body: { pause: null }, state: 'pause' },
  'POST /servers/:id/action#unpause': { body: { unpause: null }, state: 'unpause' },
  'POST /servers/:id/action#suspend': { body: { suspend: null }, state: 'suspend' },
  'POST /servers/:id/action#resume': { body: { resume: null }, state: 'resume' },
  'POST /servers/:id/action#rescue': {
    body: { rescue: { adminPass: 'secret', rescue_image_ref: '{image}' } },
    state: 'rescue',
    absent: [['rescue.rescue_image_ref', NOWHERE, 400, /dead|image/i]],
  },
  'POST /servers/:id/action#unrescue': { body: { unrescue: null }, state: 'unrescue' },
  'POST /servers/:id/action#trigger_crash_dump': { body: { trigger_crash_dump: null }, state: 'triggerCrashDump' },
  'POST /servers/:id/action#changePassword': { body: { changePassword: { adminPass: 'secret' } }, state: 'changePassword' },
  'POST /servers/:id/action#lock': { body: { lock: { locked_reason: 'r' } }, state: 'lock' },
  'POST /servers/:id/action#unlock': { body: { unlock: null }, state: 'unlock' },
  'POST /servers/:id/action#os-resetState': { ...admin, body: { 'os-resetState': { state: 'active' } }, state: 'resetState' },
  'POST /servers/:id/action#injectNetworkInfo': { ...admin, body: { injectNetworkInfo: null }, state: 'injectNetworkInfo' },
  'POST /servers/:id/action#createImage': { body: { createImage: { name: 'i', metadata: { a: 'b' } } }, state: 'createImage' },
  'POST /servers/:id/action#createBackup': {
    body: { createBackup: { name: 'i', backup_type: 'daily', rotation: 1, metadata: { a: 'b' } } },
    state: 'createBackup',
  },
  'POST /servers/:id/action#rebuild': {
    body: {
      rebuild: {
        ...{ imageRef: '{image}', name: 'n', adminPass: 'p', metadata: { a: 'b' }, preserve_ephemeral: false },
        ...{ 'OS-DCF:diskConfig': 'AUTO', accessIPv4: '1.1.1.1', accessIPv6: '::1', description: 'd', key_name: '{keypair}' },
        ...{ user_data: 'aGVsbG8=', hostname: 'hh', trusted_image_certificates: null },
      },
    },
    state: 'rebuild',
    absent: [
      ['rebuild.imageRef', NOWHERE, 400, /dead|image/i],
      ['rebuild.key_name', 'nokey', 400, /key_name/],
    ],
    also: [{ at: '2.56', body: { rebuild: { imageRef: '{image}', personality: [{ path: '/x', contents: 'aGVsbG8=' }] } } }],
  },
  'POST /servers/:id/action#resize': {
    body: { resize: { flavorRef: '{bigFlavor}', 'OS-DCF:diskConfig': 'AUTO' } },
    state: 'resize',
    absent: [['resize.flavorRef', 'nothing', 400, /nothing/]],
  },
  'POST /servers/:id/action#confirmResize': { body: { confirmResize: null }, state: 'confirmResize' },
  'POST /servers/:id/action#revertResize': { body: { revertResize: null }, state: 'revertResize' },
  'POST /servers/:id/action#migrate': {
    ...admin,
    body: { migrate: { host: null } },
    state: 'migrate',
    absent: [['migrate.host', 'nowhere', 400, /nowhere/]],
  },
  'POST /servers/:id/action#os-migrateLive': {
    ...admin,
    body: { 'os-migrateLive': { host: null, block_migration: 'auto' } },
    state: 'liveMigrate',
    absent: [['os-migrateLive.host', 'nowhere', 400, /nowhere/]],
    also: [
      { ...admin, at: '2.24', body: { 'os-migrateLive': { host: null, block_migration: true, disk_over_commit: false } } },
      { ...admin, at: '2.67', body: { 'os-migrateLive': { host: null, block_migration: 'auto', force: false } } },
    ],
  },
  'POST /servers/:id/action#evacuate': {
    ...admin,
    body: { evacuate: { host: '{otherHost}', adminPass: 'p' } },
    state: 'evacuate',
    absent: [['evacuate.host', 'nowhere', 404, /nowhere/]],
    also: [{ ...admin, at: '2.13', body: { evacuate: { host: '{otherHost}', onSharedStorage: false } } }],
  },
  'POST /servers/:id/action#shelve': { body: { shelve: null }, state: 'shelve' },
  'POST /servers/:id/action#shelveOffload': { ...admin, body: { shelveOffload: null }, state: 'shelveOffload' },
  'POST /servers/:id/action#unshelve': {
    body: { unshelve: { availability_zone: 'nova' } },
    state: 'unshelve',
    also: [
      { at: '2.77', body: { unshelve: { availability_zone: 'nova' } } },
      { ...admin, body: { unshelve: { host: '{host}' } } },
    ],
  },
  'POST /servers/:id/action#os-getConsoleOutput': {
    body: { 'os-getConsoleOutput': { length: 5 } },
    state: 'consoleOutput',
  },
  'POST /servers/:id/action#os-getVNCConsole': {
    body: { 'os-getVNCConsole': { type: 'novnc' } },
    state: 'remoteConsole',
    word: 'get_vnc_console',
  },
  'POST /servers/:id/action#os-getSPICEConsole': {
    body: { 'os-getSPICEConsole': { type: 'spice-html5' } },
    state: 'remoteConsole',
    word: 'get_spice_console',
  },
  'POST /servers/:id/action#os-getSerialConsole': {
    body: { 'os-getSerialConsole': { type: 'serial' } },
    state: 'remoteConsole',
    word: 'get_serial_console',
  },
  'POST /servers/:id/remote-consoles': {
    body: { remote_console: { protocol: 'vnc', type: 'novnc' } },
    state: 'remoteConsole',
    stateId: 'remote-consoles:create',
    word: 'get_vnc_console',
  },
  'GET /os-console-auth-tokens/:token': { ...admin, ...novasWords, path: '/os-console-auth-tokens/{nothing}' },

  'POST /servers/:id/action#addFixedIp': {
    body: { addFixedIp: { networkId: '{network}' } },
    state: 'addFixedIp',
    absent: [['addFixedIp.networkId', NOWHERE, 404, /dead/]],
  },
  'POST /servers/:id/action#removeFixedIp': {
    body: { removeFixedIp: { address: '172.24.0.250' } },
    state: 'removeFixedIp',
    absent: [['removeFixedIp.address', '172.24.0.250', 400, /172\.24\.0\.250/]],
  },
  'POST /servers/:id/action#addFloatingIp': {
    body: { addFloatingIp: { address: '{floatingAddress}' } },
    state: 'addFloatingIp',
    absent: [['addFloatingIp.address', '203.0.113.99', 404, /floating/i]],
    also: [{ body: { addFloatingIp: { address: '{floatingAddress}', fixed_address: '172.24.0.9' } } }],
  },
  'POST /servers/:id/action#removeFloatingIp': {
    body: { removeFloatingIp: { address: '{floatingAddress}' } },
    state: 'removeFloatingIp',
    absent: [['removeFloatingIp.address', '203.0.113.99', 404, /203\.0\.113\.99|floating/i]],
  },
  'POST /servers/:id/action#addSecurityGroup': {
    body: { addSecurityGroup: { name: 'default' } },
    state: 'addSecurityGroup',
    absent: [['addSecurityGroup.name', 'nogroup', 404, /nogroup/]],
  },
  'POST /servers/:id/action#removeSecurityGroup': {
    body: { removeSecurityGroup: { name: 'default' } },
    state: 'removeSecurityGroup',
    absent: [['removeSecurityGroup.name', 'nogroup', 404, /nogroup/]],
  },

  'GET /servers/:id/metadata': {},
  'POST /servers/:id/metadata': {
    body: { metadata: { a: 'b' } },
    state: 'updateMetadata',
    stateId: 'server-metadata:create',
    word: 'update metadata',
  },
  'PUT /servers/:id/metadata': {
    body: { metadata: { a: 'b' } },
    state: 'updateMetadata',
    stateId: 'server-metadata:update_all',
    word: 'update metadata',
  },
  'GET /servers/:id/metadata/:key': novasWords,
  'PUT /servers/:id/metadata/:key': {
    body: { meta: { '{metaKey}': 'b' } },
    state: 'updateMetadata',
    stateId: 'server-metadata:update',
    word: 'update metadata',
    missing: { key: otherKey },
    malformed: { key: otherKey },
  },
  'DELETE /servers/:id/metadata/:key': {
    ...novasWords,
    state: 'deleteMetadata',
    stateId: 'server-metadata:delete',
    word: 'delete metadata',
  },
  'GET /servers/:id/ips': {},
  'GET /servers/:id/ips/:label': { ...novasWords, path: '/servers/{server}/ips/default' },
  'GET /servers/:id/os-instance-actions': {},
  'GET /servers/:id/os-instance-actions/:requestId': { path: '/servers/{server}/os-instance-actions/{request}' },
  'GET /servers/:id/diagnostics': admin,
  'GET /servers/:id/topology': {},
  'GET /servers/:id/os-server-password': {},
  'DELETE /servers/:id/os-server-password': {},
  'GET /servers/:id/tags': {},
  'PUT /servers/:id/tags': { body: { tags: ['t'] }, state: 'updateTags', stateId: 'server-tags:update_all', word: 'update tags' },
  'DELETE /servers/:id/tags': { state: 'updateTags', stateId: 'server-tags:delete_all', word: 'delete tags' },
  'GET /servers/:id/tags/:tag': {},
  'PUT /servers/:id/tags/:tag': {
    state: 'updateTags',
    stateId: 'server-tags:update',
    word: 'update tag',
    missing: { tag: [201, 'a tag begins to be when it is put'] },
    malformed: { tag: [400, 'no comma, no slash, 60 signs at most', ['x'.repeat(61), 'a,b', 'a%2Fb', '%20'.repeat(61)]] },
  },
  'DELETE /servers/:id/tags/:tag': { state: 'updateTags', stateId: 'server-tags:delete', word: 'delete tag' },
  'GET /servers/:id/shares': {},
  'POST /servers/:id/shares': {
    body: { share: { share_id: NOWHERE, tag: 't' } },
    state: 'attachShare',
    stateId: 'server-shares:create',
    word: 'attach_share',
  },
  'GET /servers/:id/shares/:shareId': { path: '/servers/{server}/shares/{nothing}' },
  'DELETE /servers/:id/shares/:shareId': {
    path: '/servers/{server}/shares/{nothing}',
    state: 'detachShare',
    stateId: 'server-shares:delete',
    word: 'detach_share',
    missing: { shareId: stateFirst },
    malformed: { shareId: stateFirst },
  },

  'GET /servers/:id/os-interface': {},
  'POST /servers/:id/os-interface': {
    body: { interfaceAttachment: { net_id: '{network}', fixed_ips: [{ ip_address: '172.24.3.3' }], tag: 't' } },
    state: 'attachInterface',
    stateId: 'os-interface:create',
    word: 'attach_interface',
    absent: [['interfaceAttachment.net_id', NOWHERE, 404, /dead/]],
    also: [{ body: { interfaceAttachment: { port_id: '{port}' } }, absent: [['interfaceAttachment.port_id', NOWHERE, 404, /dead/]] }],
  },
  'GET /servers/:id/os-interface/:portId': { path: '/servers/{server}/os-interface/{serverPort}' },
  'DELETE /servers/:id/os-interface/:portId': {
    path: '/servers/{server}/os-interface/{serverPort}',
    state: 'detachInterface',
    stateId: 'os-interface:delete',
    word: 'detach_interface',
  },
  'GET /servers/:id/os-security-groups': {},
  'GET /servers/:id/os-volume_attachments': {},
  'POST /servers/:id/os-volume_attachments': {
    body: { volumeAttachment: { volumeId: '{volume}', device: '/dev/vdb', tag: 't', delete_on_termination: true } },
    state: 'attachVolume',
    stateId: 'os-volume_attachments:create',
    word: 'attach_volume',
    absent: [['volumeAttachment.volumeId', NOWHERE, 404, /dead/]],
  },
  'GET /servers/:id/os-volume_attachments/:volume': { path: '/servers/{server}/os-volume_attachments/{attached}' },
  'PUT /servers/:id/os-volume_attachments/:volume': {
    ...admin,
    path: '/servers/{server}/os-volume_attachments/{attached}',
    at: '2.84',
    body: { volumeAttachment: { volumeId: '{volume}' } },
    state: 'swapVolume',
    stateId: 'os-volume_attachments:update',
    word: 'swap_volume',
    absent: [['volumeAttachment.volumeId', NOWHERE, 409, /is not migrating/]],
    also: [
      {
        ...admin,
        path: '/servers/{server}/os-volume_attachments/{attached}',
        body: {
          volumeAttachment: {
            volumeId: '{attached}',
            id: '{attached}',
            serverId: '{server}',
            device: '/dev/vdb',
            tag: 't',
            delete_on_termination: true,
          },
        },
      },
    ],
  },
  'DELETE /servers/:id/os-volume_attachments/:volume': {
    path: '/servers/{server}/os-volume_attachments/{attached}',
    state: 'detachVolume',
    stateId: 'os-volume_attachments:delete',
    word: 'detach_volume',
  },

  'GET /os-migrations': admin,
  'GET /servers/:id/migrations': admin,
  'GET /servers/:id/migrations/:migrationId': { ...admin, path: '/servers/{server}/migrations/{no}' },
  'DELETE /servers/:id/migrations/:migrationId': {
    ...admin,
    path: '/servers/{server}/migrations/{no}',
    state: 'abortMigration',
    stateId: 'server-migrations:delete',
    word: 'abort',
    missing: { migrationId: stateFirst },
    malformed: { migrationId: stateFirst },
  },
  'POST /servers/:id/migrations/:migrationId/action#force_complete': {
    ...admin,
    path: '/servers/{server}/migrations/{no}/action',
    body: { force_complete: null },
    state: 'forceCompleteMigration',
    stateId: 'server-migrations:force_complete',
    word: 'force complete',
    missing: { migrationId: stateFirst },
    malformed: { migrationId: stateFirst },
  },
  'POST /os-server-external-events': {
    ...admin,
    body: { events: [{ server_uuid: '{server}', name: 'network-changed', status: 'completed', tag: 't' }] },
    absent: [['events.0.server_uuid', NOWHERE, 207, /^$/]],
  },

  'GET /os-networks': {},
  'GET /os-networks/:id': {},
  'GET /os-tenant-networks': {},
  'GET /os-tenant-networks/:id': {},
  'GET /os-floating-ip-pools': {},
  'GET /os-floating-ips': {},
  'POST /os-floating-ips': { body: { pool: 'public' }, absent: [['pool', 'nopool', 404, notFound]] },
  'GET /os-floating-ips/:id': {},
  'DELETE /os-floating-ips/:id': {},
  'GET /os-security-groups': {},
  'POST /os-security-groups': { body: { security_group: { name: '{new}', description: 'd' } } },
  'GET /os-security-groups/:id': { malformed: { id: uuid } },
  'PUT /os-security-groups/:id': { body: { security_group: { name: '{new}', description: 'd' } }, malformed: { id: uuid } },
  'DELETE /os-security-groups/:id': { malformed: { id: uuid } },
  'POST /os-security-group-rules': {
    body: {
      security_group_rule: {
        parent_group_id: '{securityGroup}',
        ip_protocol: 'tcp',
        from_port: 1,
        to_port: 2,
        cidr: '10.0.0.0/8',
        group_id: null,
      },
    },
    absent: [['security_group_rule.parent_group_id', NOWHERE, 404, /dead/]],
  },
  'DELETE /os-security-group-rules/:id': { path: '/os-security-group-rules/{rule}', malformed: { id: uuid } },

  'GET /os-volumes': {},
  'POST /os-volumes': {
    body: {
      volume: {
        ...{ size: 1, display_name: 'v', display_description: 'd', availability_zone: 'nova', volume_type: null, metadata: { a: 'b' } },
      },
    },
  },
  'GET /os-volumes/detail': {},
  'GET /os-volumes/:id': {},
  'DELETE /os-volumes/:id': {},
  'GET /os-snapshots': {},
  'POST /os-snapshots': {
    body: { snapshot: { volume_id: '{volume}', force: false, display_name: 's', display_description: 'd' } },
    absent: [['snapshot.volume_id', NOWHERE, 404, /dead/]],
  },
  'GET /os-snapshots/detail': {},
  'GET /os-snapshots/:id': { path: '/os-snapshots/{snapshot}' },
  'DELETE /os-snapshots/:id': { path: '/os-snapshots/{snapshot}' },
  'POST /os-assisted-volume-snapshots': {
    ...admin,
    body: { snapshot: { volume_id: '{attached}', create_info: { snapshot_id: NOWHERE, type: 'qcow2', new_file: 'f', id: 'i' } } },
  },
  'DELETE /os-assisted-volume-snapshots/:id': {
    ...admin,
    path: '/os-assisted-volume-snapshots/{nothing}',
    query: 'delete_info={"volume_id":"{attached}"}',
    missing: { id: [204, 'the host is told; it knows no snapshots'] },
    malformed: { id: [204, 'as above'] },
  },

  'GET /os-scheduler-decisions': {},
  'GET /os-scheduler-decisions/:id': { path: '/os-scheduler-decisions/{decision}' },
  'POST /os-scheduler-decisions/dry-run': { ...admin, body: { flavor: '{flavor}', count: 1 } },

  'GET /images': {},
  'GET /images/detail': {},
  'GET /images/:id': novasWords,
  'DELETE /images/:id': novasWords,
  'GET /images/:id/metadata': novasWords,
  'POST /images/:id/metadata': { ...novasWords, path: '/images/{ownImage}/metadata', body: { metadata: { a: 'b' } } },
  'PUT /images/:id/metadata': { ...novasWords, path: '/images/{ownImage}/metadata', body: { metadata: { a: 'b' } } },
  'GET /images/:id/metadata/:key': { ...novasWords, path: '/images/{ownImage}/metadata/a' },
  'PUT /images/:id/metadata/:key': {
    ...novasWords,
    path: '/images/{ownImage}/metadata/a',
    body: { meta: { a: 'b' } },
    missing: { key: otherKey },
    malformed: { key: otherKey },
  },
  'DELETE /images/:id/metadata/:key': { ...novasWords, path: '/images/{ownImage}/metadata/a' },
  'GET /os-baremetal-nodes': admin,
  'GET /os-baremetal-nodes/:id': { ...admin, ...refusedAll(501), path: '/os-baremetal-nodes/{nothing}' },
  'POST /os-baremetal-nodes': admin,
  'DELETE /os-baremetal-nodes/:id': { ...admin, ...refusedAll(400), path: '/os-baremetal-nodes/{nothing}' },
  'POST /os-baremetal-nodes/:id/action#add_interface': {
    ...admin,
    ...refusedAll(400),
    path: '/os-baremetal-nodes/{nothing}/action',
    body: { add_interface: null },
  },
  'POST /os-baremetal-nodes/:id/action#remove_interface': {
    ...admin,
    ...refusedAll(400),
    path: '/os-baremetal-nodes/{nothing}/action',
    body: { remove_interface: null },
  },
};
