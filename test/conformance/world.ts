import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { House } from '../house/running.ts';
import { leanFetch } from '../support/lean-fetch.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
  readonly headers: Headers;
}
type Json = Record<string, unknown>;
export interface AskMore {
  readonly at?: string;
  readonly body?: unknown;
  readonly legacy?: boolean;
  /** Somebody else's; '' for nobody's. */
  readonly token?: string;
}

/** A running cloud with what the requests of the samples name: servers in every state, networks, volumes, images. */
export interface World {
  ask(place: string, more?: AskMore): Promise<Answer>;
  /** Of another service, by its mount: 'POST /volume/v3/{project}/volumes'. Throws when it is refused. */
  other(place: string, body?: unknown): Promise<Json>;
  readonly project: string;
  /** A project that nobody works in: its limits may be set to anything. */
  readonly spare: string;
  readonly user: string;
  readonly image: string;
  readonly network: string;
  readonly external: string;
  readonly hosts: readonly string[];
  /** A fresh name. */
  name(): string;
  server(wish?: Json): Promise<string>;
  /** A server that was brought into a status by its actions. */
  inState(status: string): Promise<string>;
  act(id: string, body: Json, at?: string): Promise<Answer>;
  settled(id: string, status?: string): Promise<Json>;
  volume(): Promise<string>;
  port(): Promise<Json>;
  done(id: string): Promise<void>;
  /** A new user with one role in a project; answers its token. */
  persona(role: string, project?: string): Promise<string>;
}

const NEWEST = '2.104';
/** How a server gets into each status from ACTIVE. */
const ways: Readonly<Record<string, readonly (readonly [body: Json, status: string])[]>> = {
  ACTIVE: [],
  SHUTOFF: [[{ 'os-stop': null }, 'SHUTOFF']],
  PAUSED: [[{ pause: null }, 'PAUSED']],
  SUSPENDED: [[{ suspend: null }, 'SUSPENDED']],
  RESCUE: [[{ rescue: {} }, 'RESCUE']],
  VERIFY_RESIZE: [[{ resize: { flavorRef: '2' } }, 'VERIFY_RESIZE']],
  SHELVED: [[{ shelve: null }, 'SHELVED']],
  SHELVED_OFFLOADED: [
    [{ shelve: null }, 'SHELVED'],
    [{ shelveOffload: null }, 'SHELVED_OFFLOADED'],
  ],
};

export async function openWorld(house: House): Promise<World> {
  const secrets = JSON.parse(readFileSync(join(house.dataDir, 'secrets.json'), 'utf8')) as { adminPassword: string };
  const domain = { name: 'Default' };
  const login = async (name: string, password: string, project: string) => {
    const answer = await leanFetch(`${house.base}/identity/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: { methods: ['password'], password: { user: { name, domain, password } } },
          scope: { project: { name: project, domain } },
        },
      }),
    });
    if (!answer.ok) throw new Error(`no login for ${name}: ${answer.status} ${await answer.text()}`);
    const { token: said } = (await answer.json()) as { token: { project: { id: string }; user: { id: string } } };
    return { token: answer.headers.get('x-subject-token') ?? '', said };
  };
  const { token, said } = await login('admin', secrets.adminPassword, 'admin');
  const send = async (url: string, method: string, body: unknown, headers: Record<string, string>): Promise<Answer> => {
    const answer = await leanFetch(url, {
      method,
      headers: { 'x-auth-token': token, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined, headers: answer.headers };
  };
  const split = (place: string) => {
    const at = place.indexOf(' ');
    return [place.slice(0, at), place.slice(at + 1)] as const;
  };
  let names = 0;
  const world = {
    project: said.project.id,
    spare: '',
    user: said.user.id,
    image: '',
    network: '',
    external: '',
    hosts: [] as string[],
    name: () => `conformance-${++names}`,
    ask(place: string, { at = NEWEST, body, legacy, token: other }: AskMore = {}) {
      const [method, path] = split(place);
      const headers: Record<string, string> = legacy
        ? {}
        : { 'openstack-api-version': `compute ${at}`, 'x-openstack-nova-api-version': at };
      if (other !== undefined) headers['x-auth-token'] = other;
      const url = path.startsWith('//') ? `${house.base}${path.slice(1)}` : `${house.base}${legacy ? '/v2' : '/v2.1'}${path}`;
      return send(url, method, body, headers);
    },
    async other(place: string, body?: unknown) {
      const [method, path] = split(place);
      const answer = await send(`${house.base}${path}`, method, body, {});
      if (answer.status >= 300) throw new Error(`${place}: ${answer.status} ${answer.text.slice(0, 300)}`);
      return (answer.body ?? {}) as Json;
    },
    async server(wish: Json = {}) {
      const server = { name: world.name(), imageRef: world.image, flavorRef: '1', networks: [{ uuid: world.network }], ...wish };
      const answer = await world.ask('POST /servers', { body: { server } });
      if (answer.status !== 202) throw new Error(`no server: ${answer.status} ${answer.text.slice(0, 300)}`);
      const id = (answer.body as { server: { id: string } }).server.id;
      await world.settled(id, 'ACTIVE');
      return id;
    },
    async inState(status: string) {
      const id = await world.server();
      for (const [body, wanted] of ways[status] ?? []) {
        const answer = await world.act(id, body);
        if (answer.status >= 300) throw new Error(`${Object.keys(body)[0]}: ${answer.status} ${answer.text.slice(0, 300)}`);
        await world.settled(id, wanted);
      }
      return id;
    },
    act: (id: string, body: Json, at?: string) => world.ask(`POST /servers/${id}/action`, { body, ...(at ? { at } : {}) }),
    async settled(id: string, status?: string) {
      const end = Date.now() + 20_000;
      for (;;) {
        const { body } = await world.ask(`GET /servers/${id}`);
        const server = (body as { server?: Json } | undefined)?.server;
        const busy = server && server['OS-EXT-STS:task_state'] !== null;
        if (server && !busy && (status === undefined || server.status === status)) return server;
        if (server && !busy && server.status === 'ERROR') throw new Error(`server in ERROR: ${JSON.stringify(server.fault)}`);
        if (Date.now() > end) throw new Error(`server did not become ${status}: ${JSON.stringify(server).slice(0, 600)}`);
        await pause(15);
      }
    },
    async volume() {
      const made = (await world.other(`POST /volume/v3/${world.project}/volumes`, { volume: { size: 1, name: world.name() } })) as {
        volume: { id: string };
      };
      const { id } = made.volume;
      const end = Date.now() + 20_000;
      for (;;) {
        const { volume } = (await world.other(`GET /volume/v3/${world.project}/volumes/${id}`)) as { volume: { status: string } };
        if (volume.status === 'available') return id;
        if (Date.now() > end || volume.status === 'error') throw new Error(`volume is ${volume.status}`);
        await pause(15);
      }
    },
    async port() {
      const made = (await world.other('POST /network/v2.0/ports', { port: { network_id: world.network } })) as { port: Json };
      return made.port;
    },
    async persona(role: string, project = 'admin') {
      const name = world.name();
      const { user } = (await world.other('POST /identity/v3/users', {
        user: { name, password: 'a secret of the test', domain_id: 'default' },
      })) as {
        user: { id: string };
      };
      const { projects } = (await world.other(`GET /identity/v3/projects?name=${project}`)) as { projects: { id: string }[] };
      const { roles } = (await world.other(`GET /identity/v3/roles?name=${role}`)) as { roles: { id: string }[] };
      await world.other(`PUT /identity/v3/projects/${projects[0]?.id}/users/${user.id}/roles/${roles[0]?.id}`);
      return (await login(name, 'a secret of the test', project)).token;
    },
    async done(id: string) {
      await world.act(id, { forceDelete: null });
    },
  };
  const images = (await world.other('GET /image/v2/images')) as { images: { id: string }[] };
  // Nor do the quotas of volumes bind.
  await world.other(`PUT /volume/v3/${world.project}/os-quota-sets/${world.project}`, {
    quota_set: { volumes: -1, gigabytes: -1, snapshots: -1 },
  });
  world.image = images.images[0]?.id ?? '';
  const spare = await world.other('POST /identity/v3/projects', { project: { name: world.name(), domain_id: 'default' } });
  world.spare = (spare as { project: { id: string } }).project.id;
  // Each sample that makes a group leaves one behind: more than a project may have unless told.
  await world.other(`PUT /network/v2.0/quotas/${world.project}`, { quota: { security_group: -1, floatingip: -1 } });
  const { networks } = (await world.other('GET /network/v2.0/networks')) as { networks: (Json & { id: string })[] };
  world.network = networks.find((one) => !one['router:external'])?.id ?? '';
  world.external = networks.find((one) => one['router:external'])?.id ?? '';
  const { services } = (await world.ask('GET /os-services?binary=nova-compute')).body as { services: { host: string }[] };
  world.hosts = services.map((one) => one.host).sort();
  return world;
}
