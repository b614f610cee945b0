import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { openClient } from '../../house/hostile-wire.ts';
import { type Client, type House, startHouse, waitFor } from '../../house/running.ts';
import type { Row } from './rows.ts';

/** Stands in what belongs to another project, and in no answer to a stranger. */
export const SECRET = 'of-another-project';
const NOWHERE = '00000000-0000-4000-8000-00000000dead';
// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** What the fault says, if it is one. */
  readonly message: string;
}
export interface Asked {
  readonly as?: 'demo' | 'admin' | 'nobody' | undefined;
  readonly at?: string | undefined;
  readonly body?: unknown;
  readonly raw?: string;
}

/** Nouns of path parameters, by the word before them. */
const NOUNS: Readonly<Record<string, string>> = {
  servers: 'server',
  'os-volumes_boot': 'server',
  flavors: 'flavor',
  images: 'image',
  'os-networks': 'network',
  'os-tenant-networks': 'network',
  'os-security-groups': 'securityGroup',
  'os-floating-ips': 'floatingIp',
  'os-volumes': 'volume',
  'os-server-groups': 'group',
  'os-keypairs': 'keypair',
  'os-aggregates': 'aggregate',
  'os-hypervisors': 'hypervisor',
  'os-services': 'service',
  'os-extra_specs': 'spec',
  metadata: 'metaKey',
  tags: 'tag',
};
/** The path of a row with `{noun}` in it, and which part of it stands for which parameter of the route. */
export function pathOf(key: string, row: Row): { path: string; params: readonly (readonly [name: string, at: number])[] } {
  const route = (key.split('#')[0] ?? '').split(' ')[1]?.split('/') ?? [];
  const path = row.path?.split('/') ?? route.map((part, at) => (part.startsWith(':') ? `{${NOUNS[route[at - 1] ?? ''] ?? part}}` : part));
  return { path: path.join('/'), params: route.flatMap((part, at) => (part.startsWith(':') ? [[part.slice(1), at] as const] : [])) };
}

/** A whole cloud with one of everything for the demo project, and one of everything that it must not see. */
export async function openWorld() {
  const house: House = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '2'] });
  const [demo, admin] = await Promise.all([house.as('demo'), house.as('admin')]);
  const wire = openClient(house.base);
  const tokens = { demo: demo.token, admin: admin.token };
  const send = async (place: string, { as = 'demo', at, body, raw }: Asked = {}): Promise<Answer> => {
    const space = place.indexOf(' ');
    const path = place.slice(space + 1);
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const headers = {
      ...(as === 'nobody' ? {} : { 'x-auth-token': tokens[as] }),
      ...(at ? { 'openstack-api-version': `compute ${at}` } : {}),
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const mount = path.startsWith('/v2') ? '' : '/v2.1';
    const answer = await wire.send(place.slice(0, space), mount + path, headers, text === undefined ? undefined : Buffer.from(text));
    return { ...answer, message: messageIn(answer.text) };
  };
  const ask = async (
    who: Client,
    part: 'compute' | 'image' | 'network' | 'volume' | 'identity',
    place: string,
    body?: unknown,
    at = '2.96',
  ) => {
    const [method, path = ''] = place.split(' ');
    const headers = { 'openstack-api-version': part === 'compute' ? `compute ${at}` : 'volume 3.60' };
    return (await who[part].ask<Any>(method as 'GET', path, { ...(body === undefined ? {} : { body }), headers })).body;
  };

  const images = (await ask(demo, 'image', 'GET /v2/images')).images;
  const own: Record<string, string> = {
    image: images[0].id,
    flavor: '1',
    bigFlavor: '2',
    no: '1',
    nothing: NOWHERE,
    metaKey: 'k',
    tag: 't',
  };
  const people = async (who: Client) =>
    (await who.identity.ask<Any>('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': who.token } })).body.token;
  const me = await people(demo);
  own.demoProject = me.project.id;
  own.user = me.user.id;
  const adminProject: string = (await people(admin)).project.id;
  own.adminProject = adminProject;
  await ask(admin, 'compute', `PUT /os-quota-sets/${own.demoProject}`, {
    quota_set: { instances: -1, cores: -1, ram: -1, server_groups: -1, key_pairs: -1 },
  });
  const nets = (await ask(demo, 'network', 'GET /v2.0/networks')).networks;
  const outside = nets.find((net: Any) => net['router:external'])?.id;
  const inside = nets.find((net: Any) => !net['router:external'])?.id;

  const furnish = async (who: Client, name: string): Promise<Record<string, string>> => {
    const made: Record<string, string> = {};
    const net = (await ask(who, 'network', 'POST /v2.0/networks', { network: { name } })).network.id;
    made.ownNetwork = net;
    await ask(who, 'network', 'POST /v2.0/subnets', { subnet: { network_id: net, cidr: '10.9.0.0/24', ip_version: 4, name } });
    made.port = (await ask(who, 'network', 'POST /v2.0/ports', { port: { network_id: net, name } })).port.id;
    const { floatingip } = await ask(who, 'network', 'POST /v2.0/floatingips', {
      floatingip: { floating_network_id: outside, description: name },
    });
    made.floatingIp = floatingip.id;
    made.floatingAddress = floatingip.floating_ip_address;
    const group = (await ask(who, 'network', 'POST /v2.0/security-groups', { security_group: { name, description: name } })).security_group;
    made.securityGroup = group.id;
    const rule = { security_group_id: group.id, direction: 'ingress', protocol: 'tcp', port_range_min: 9, port_range_max: 9 };
    made.rule = (await ask(who, 'network', 'POST /v2.0/security-group-rules', { security_group_rule: rule })).security_group_rule.id;
    made.ownImage = (
      await ask(who, 'image', 'POST /v2/images', { name, disk_format: 'raw', container_format: 'bare', visibility: 'private', a: name })
    ).id;
    const volume = async () => {
      const { id } = (await ask(who, 'volume', 'POST /volumes', { volume: { size: 1, name } })).volume;
      await waitFor(
        async () => (await ask(who, 'volume', `GET /volumes/${id}`)).volume.status === 'available',
        60_000,
        () => `volume ${id} does not come`,
      );
      return id as string;
    };
    made.volume = await volume();
    made.attached = await volume();
    made.snapshot = (await ask(who, 'volume', 'POST /snapshots', { snapshot: { volume_id: made.volume, name } })).snapshot.id;
    made.group = (await ask(who, 'compute', 'POST /os-server-groups', { server_group: { name, policy: 'soft-affinity' } })).server_group.id;
    const { keypair } = await ask(who, 'compute', 'POST /os-keypairs', { keypair: { name } }, '2.90');
    made.keypair = keypair.name;
    const wish = { name, imageRef: own.image, flavorRef: '1', networks: [{ uuid: inside }], metadata: { k: name }, tags: ['t'] };
    const id = (await ask(who, 'compute', 'POST /servers', { server: wish })).server.id;
    made.server = id;
    await waitFor(
      async () => (await ask(who, 'compute', `GET /servers/${id}`)).server.status === 'ACTIVE',
      60_000,
      () => `${name} is not ACTIVE`,
    );
    await ask(who, 'compute', `POST /servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: made.attached } });
    await waitFor(
      async () => (await ask(who, 'volume', `GET /volumes/${made.attached}`)).volume.status === 'in-use',
      60_000,
      () => 'the volume is not in use',
    );
    made.serverPort = (await ask(who, 'compute', `GET /servers/${id}/os-interface`)).interfaceAttachments[0].port_id;
    made.request = (await ask(who, 'compute', `GET /servers/${id}/os-instance-actions`)).instanceActions.at(-1).request_id;
    made.decision = (await ask(who, 'compute', `GET /os-scheduler-decisions?server_id=${id}`)).scheduler_decisions?.[0]?.id ?? NOWHERE;
    return made;
  };
  const [mine, foreign] = await Promise.all([furnish(demo, 'mine'), furnish(admin, SECRET)]);
  Object.assign(own, mine);
  own.network = inside;
  foreign.network = foreign.ownNetwork ?? '';
  foreign.image = foreign.ownImage ?? '';
  delete foreign.keypair; // a key pair is found by its name among one's own
  const hypervisors = (await ask(admin, 'compute', 'GET /os-hypervisors/detail')).hypervisors;
  own.hypervisor = hypervisors[0].id;
  own.hostname = hypervisors[0].hypervisor_hostname;
  own.host = hypervisors[0].service.host;
  own.otherHost = hypervisors[1].service.host;
  own.service = (await ask(admin, 'compute', 'GET /os-services?binary=nova-compute')).services[0].id;
  own.aggregate = String((await ask(admin, 'compute', 'POST /os-aggregates', { aggregate: { name: 'agg' } })).aggregate.id);
  const flavor = { name: 'closed', ram: 64, vcpus: 1, disk: 0, id: 'closed', 'os-flavor-access:is_public': false };
  own.closedFlavor = (await ask(admin, 'compute', 'POST /flavors', { flavor })).flavor.id;
  foreign.closedFlavor = own.closedFlavor ?? '';
  own.spec = 'hw:cpu_policy';
  await ask(admin, 'compute', 'POST /flavors/1/os-extra_specs', { extra_specs: { 'hw:cpu_policy': 'shared' } });

  /** Texts with `{noun}` filled in; `{new}` is a fresh name each time. */
  const fill = (text: string, ids: Readonly<Record<string, string>> = own) =>
    text.replaceAll(/\{([a-zA-Z]+)\}/g, (all, noun: string) => (noun === 'new' ? `n-${randomUUID()}` : (ids[noun] ?? own[noun] ?? all)));

  /** Writes servers into the database that are in every state at once: copies of the demo server on a host that nobody runs. */
  const clone = (
    states: readonly (readonly [vm: string, task: string | null])[],
    more: Readonly<Record<string, SQLInputValue>> = {},
  ): string[] => {
    const db = new DatabaseSync(join(house.dataDir, 'cloud.db'));
    db.exec('pragma busy_timeout = 20000');
    const row = db.prepare('select * from servers where uuid = ?').get(own.server ?? '') as Record<string, SQLInputValue>;
    const { id: _id, ...rest } = row;
    const columns = Object.keys(rest);
    const insert = db.prepare(`insert into servers (${columns.join(',')}) values (${columns.map(() => '?').join(',')})`);
    const uuids: string[] = [];
    db.exec('begin immediate');
    for (const [vm, task] of states) {
      const uuid = randomUUID();
      uuids.push(uuid);
      const copy: Record<string, SQLInputValue> = {
        ...rest,
        uuid,
        vm_state: vm,
        task_state: task,
        task_deadline: null,
        host: 'nowhere',
        node: 'nowhere',
        ...more,
      };
      insert.run(...columns.map((column) => copy[column] ?? null));
    }
    db.exec('commit');
    db.close();
    return uuids;
  };
  /** A server of the demo project that was deleted softly, as one that has been there for a while. */
  const softDeleted = async (): Promise<string> => {
    const [uuid = ''] = clone([['soft-delete', null]], { soft_deleted_at: Date.now() * 1000 });
    return uuid;
  };
  return {
    house,
    own,
    softDeleted,
    foreign,
    send,
    ask,
    demo,
    admin,
    fill,
    clone,
    /** A value with every `{noun}` filled in. */
    filled: <T>(value: T, ids?: Readonly<Record<string, string>>): T =>
      value === undefined ? value : (JSON.parse(fill(JSON.stringify(value), ids)) as T),
    async close() {
      wire.close();
      await house.stop();
      await house.remove();
    },
  };
}
export type World = Awaited<ReturnType<typeof openWorld>>;

function messageIn(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    const first = body !== null && typeof body === 'object' ? Object.values(body)[0] : undefined;
    if (typeof first === 'string') return first;
    return typeof first === 'object' && first !== null && 'message' in first ? String(first.message) : '';
  } catch {
    return text;
  }
}
