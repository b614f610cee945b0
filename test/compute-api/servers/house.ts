import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { volumeClient } from '../../../src/clients/volume.ts';
import { createApp, type Dialect } from '../../../src/http/app.ts';
import { openFrontDoor } from '../../../src/http/front-door.ts';
import { manualClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import type { Version } from '../../../src/lib/shape.ts';
import { type Caller, nobody } from '../../../src/model/caller.ts';
import { invalidInput, notAuthenticated } from '../../../src/model/errors.ts';
import { compilePolicy } from '../../../src/model/policy.ts';
import { computePolicyRules } from '../../../src/model/policy-rules.ts';
import type { NetworkInfo } from '../../../src/model/server.ts';
import { openChangeHub } from '../../../src/services/compute-api/change-hub.ts';
import type { ImagePort, NetworkPort, ServerImage, ServerParts } from '../../../src/services/compute-api/server-parts.ts';
import { serverRoutes } from '../../../src/services/compute-api/server-routes.ts';
import { openFresh } from '../../support/fresh-database.ts';
import { leanFetch } from '../../support/lean-fetch.ts';

export const versions: readonly Version[] = Array.from({ length: 104 }, (_none, index) => `2.${index + 1}` as Version);

export const DEMO = 'd'.repeat(32);
export const OTHER = 'e'.repeat(32);
const ADMIN_PROJECT = 'a'.repeat(32);
const person = (userId: string, projectId: string, roles: readonly string[]): Caller => ({
  ...nobody,
  userId: userId.padEnd(32, '0'),
  userName: userId,
  projectId,
  projectName: projectId.slice(0, 4),
  roles,
});
export const people = {
  demo: person('d1', DEMO, ['member', 'reader']),
  reader: person('d2', DEMO, ['reader']),
  other: person('e1', OTHER, ['member', 'reader']),
  admin: person('a1', ADMIN_PROJECT, ['admin', 'manager', 'member', 'reader']),
} as const;
export type Person = keyof typeof people;

const KEYS: Readonly<Record<number, string>> = { 400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound', 409: 'conflictingRequest' };
const dialect: Dialect = {
  fault: (error, status) => ({
    body: JSON.stringify({ [KEYS[status] ?? 'computeFault']: { code: status, message: error.message } }),
    headers: { 'content-type': 'application/json' },
  }),
};

export const IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b';
const image = (id: string, more: Partial<ServerImage> = {}): ServerImage => ({
  id,
  name: 'tiny',
  status: 'active',
  diskFormat: 'qcow2',
  containerFormat: 'bare',
  sizeBytes: 10_000_000,
  hashAlgo: 'sha512',
  hashValue: '0'.repeat(128),
  minDiskGiB: 0,
  minMemoryMiB: 0,
  properties: { architecture: 'x86_64' },
  ...more,
});
export const images = {
  queued: image('70a599e0-31e7-49b7-b260-868f441e8620', { status: 'queued' }),
  big: image('70a599e0-31e7-49b7-b260-868f441e8621', { sizeBytes: 5 * 1024 ** 3 }),
  deep: image('70a599e0-31e7-49b7-b260-868f441e8622', { minDiskGiB: 100 }),
  hungry: image('70a599e0-31e7-49b7-b260-868f441e8623', { minMemoryMiB: 100_000 }),
};
/** An image service of five images. */
const imagePort: ImagePort = {
  show: async (id) => [image(IMAGE), ...Object.values(images)].find((one) => one.id === id),
  create: async () => '70a599e0-31e7-49b7-b260-868f441e862e',
  remove: async () => {},
  location: (id, origin) => `${origin}/image/v2/images/${id}`,
};

export const NETWORK = '5f2b7a4e-3f4c-4e0c-9f1b-0d5c1a2b3c4d';
/** A network service with one network. */
const networkPort: NetworkPort = {
  async validate(asked) {
    if (typeof asked === 'string') return asked;
    for (const { networkId } of asked)
      if (networkId !== null && networkId !== NETWORK) throw invalidInput({ why: `Network ${networkId} could not be found.` });
    return asked;
  },
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any form
  readonly body: any;
}
export interface Ask {
  readonly as?: Person;
  readonly version?: string;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
  readonly legacy?: boolean;
}

/** The server routes on an own front door and SQLite file, without a conductor: servers stay BUILD until a test moves them on. */
export async function openHouse(options: Pick<ServerParts, 'quotas' | 'maxLimit'> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-servers-'));
  const db = await openFresh(join(dir, 'cloud.db'));
  const clock = manualClock(1_700_000_000_000_000);
  const rung: string[] = [];
  const parts: ServerParts = {
    db,
    bus: { ring: (word) => void rung.push(word) },
    clock,
    log: silentLog,
    changes: openChangeHub({ db, clock, log: silentLog }),
    images: imagePort,
    networks: networkPort,
    volumes: volumeClient(null),
    console: async (_server, lines) => {
      const all = ['one\r', 'two', '\u001b[1mthree\ttab'];
      return (lines === null ? all : all.slice(all.length - Math.min(lines, all.length))).join('\n');
    },
    diagnostics: async () => {
      throw new Error('no guest runs here');
    },
    ...options,
  };
  const app = await createApp<ServerParts>({
    name: 'compute',
    mounts: ['/v2.1', '/v2'],
    legacyMounts: ['/v2'],
    routes: serverRoutes,
    parts,
    policy: compilePolicy(computePolicyRules),
    checkToken: async (token) => {
      if (!Object.hasOwn(people, token)) throw notAuthenticated({});
      return people[token as Person];
    },
    dialect,
    log: silentLog,
    microversions: { service: 'compute', min: '2.1', max: '2.104', legacyHeader: 'X-OpenStack-Nova-API-Version', all: versions },
    optionalPrefix: '/:project_id(^[0-9a-f-]{32,36}$)',
    checkPrefix: () => {},
  });
  const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${door.address.port}`;
  await seed(db);

  const call = async (method: string, path: string, ask: Ask = {}): Promise<Answer> => {
    const body = ask.raw ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body));
    const response = await leanFetch(`${base}${ask.legacy ? '/v2' : '/v2.1'}${path}`, {
      method,
      headers: {
        'x-auth-token': ask.as ?? 'demo',
        ...(ask.version ? { 'openstack-api-version': `compute ${ask.version}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...ask.headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) };
  };
  return {
    db,
    clock,
    parts,
    base,
    rung,
    call,
    /** Creates one server and answers its id. */
    async boot(name: string, more: object = {}, ask: Ask = {}): Promise<string> {
      const answer = await call('POST', '/servers', { ...ask, body: wish({ name, ...more }) });
      if (answer.status !== 202) throw new Error(`create answered ${answer.status}: ${answer.text}`);
      return answer.body.server.id;
    },
    /** What conductor and agent would do: the server runs on host1 with one port. */
    async activate(uuid: string, more: object = {}): Promise<void> {
      await db.transaction((tx) =>
        tx
          .updateTable('servers')
          .set((eb) => ({
            vm_state: 'active',
            task_state: null,
            task_deadline: null,
            power_state: 1,
            host: 'host1',
            node: 'host1.node',
            launched_at: clock.now(),
            root_device_name: '/dev/vda',
            network_info: JSON.stringify([port]),
            revision: eb('revision', '+', 1),
            ...more,
          }))
          .where('uuid', '=', uuid)
          .execute(),
      );
    },
    async close(): Promise<void> {
      await door.close();
      await app.close();
      await db.close();
      rmSync(dir, { recursive: true });
    },
  };
}
export type House = Awaited<ReturnType<typeof openHouse>>;

export const port: NetworkInfo = {
  portId: '11111111-2222-4333-8444-555555555555',
  networkId: NETWORK,
  networkName: 'private',
  mac: 'fa:16:3e:00:00:01',
  mtu: 1500,
  addresses: [
    { address: '192.168.1.30', version: 4, type: 'fixed', cidr: '192.168.1.0/24', gateway: '192.168.1.1' },
    { address: 'fd00::30', version: 6, type: 'fixed', cidr: 'fd00::/64', gateway: null },
  ],
  nameServers: [],
  preserve: false,
  securityGroups: ['default'],
  tag: null,
};

/** The least a create needs at 2.1; `networks` as well from 2.37 on. */
export const wish = (more: object = {}) => ({ server: { name: 'web', imageRef: IMAGE, flavorRef: '1', ...more } });

async function seed(db: Awaited<ReturnType<typeof openFresh>>): Promise<void> {
  const flavor = (id: string, more: object = {}) => ({
    flavorid: id,
    name: `flavor-${id}`,
    vcpus: 1,
    memory_mib: 512,
    root_gib: 1,
    ephemeral_gib: 0,
    swap_mib: 0,
    rxtx_factor: 1,
    is_public: 1,
    disabled: 0,
    description: null,
    extra_specs: '{"hw:cpu_policy":"shared"}',
    created_at: 1,
    updated_at: null,
    ...more,
  });
  await db.transaction(async (tx) => {
    await tx
      .insertInto('flavors')
      .values([
        flavor('1'),
        flavor('big', { vcpus: 4, memory_mib: 8192, root_gib: 40 }),
        flavor('diskless', { root_gib: 0 }),
        flavor('secret', { is_public: 0 }),
        flavor('off', { disabled: 1 }),
      ])
      .execute();
    await tx
      .insertInto('keypairs')
      .values({
        user_id: people.demo.userId,
        name: 'mykey',
        type: 'ssh',
        fingerprint: 'aa:bb',
        public_key: 'ssh-ed25519 AAAA demo',
        created_at: 1,
      })
      .execute();
    await tx
      .insertInto('server_groups')
      .values({
        uuid: GROUP,
        project_id: DEMO,
        user_id: people.demo.userId,
        name: 'apart',
        policy: 'anti-affinity',
        rules: '{}',
        created_at: 1,
      })
      .execute();
    for (const [index, [host, zone]] of [
      ['host1', 'nova'],
      ['host2', 'az2'],
    ].entries()) {
      await tx
        .insertInto('services')
        .values({
          uuid: `00000000-0000-4000-8000-00000000000${index}`,
          host: host ?? '',
          binary: 'nova-compute',
          topic: 'compute',
          zone: zone ?? '',
          disabled: 0,
          disabled_reason: null,
          forced_down: 0,
          last_seen_at: 1_700_000_000_000_000,
          report_count: 1,
          created_at: 1,
          updated_at: null,
        })
        .execute();
      await tx
        .insertInto('hypervisors')
        .values({
          uuid: `00000000-0000-4000-8000-00000000001${index}`,
          service_id: index + 1,
          host: host ?? '',
          hypervisor_hostname: `${host}.node`,
          hypervisor_type: 'fake',
          hypervisor_version: 1,
          host_ip: '127.0.0.1',
          cpu_info: '{}',
          supported_instances: '[]',
          traits: '[]',
          vcpus: 8,
          memory_mib: 8192,
          disk_gib: 100,
          disk_free_gib: 100,
          uptime: null,
          stats: '{}',
          agent_epoch: 1,
          created_at: 1,
          updated_at: 1,
        })
        .execute();
    }
  });
}
export const GROUP = '99999999-2222-4333-8444-555555555555';
