import type { Asker } from './asker.ts';
import type { Chance } from './chance.ts';

/** What clients have in common: things by place, so that several of them meet at the same thing. */
export interface Ground {
  readonly demo: Asker;
  readonly admin: Asker;
  readonly image: string;
  readonly network: string;
  /** That may be named as targets. */
  readonly hosts: readonly string[];
  /** Where servers are asked for; undefined: wherever. */
  readonly zone: string | undefined;
  /** Flavors to choose from, where real guests stand; undefined: any. */
  readonly flavors: readonly string[] | undefined;
  readonly servers: (string | undefined)[];
  readonly volumes: (string | undefined)[];
  readonly groups: (string | undefined)[];
  /** Volumes that somebody took from their server: they stay when it goes. */
  readonly freed: Set<string>;
}
/** One deed: `at` chooses its server. */
export interface Turn {
  readonly ground: Ground;
  readonly chance: Chance;
  readonly at: number;
  readonly id: string;
}
type Deed = (turn: Turn) => Promise<unknown>;

const server = (id: string) => `/v2.1/servers/${id}`;
const act =
  (body: (turn: Turn) => object, as: 'demo' | 'admin' = 'demo'): Deed =>
  ({ ground, ...turn }) =>
    ground[as].ask('POST', `${server(turn.id)}/action`, body({ ground, ...turn }));
const bare = (word: string, as: 'demo' | 'admin' = 'demo') => act(() => ({ [word]: null }), as);
const volumeOf = ({ ground, chance }: Turn) => ground.volumes[chance.below(ground.volumes.length)];

/** Troubles that a fake hypervisor makes with a guest when its metadata ask for them. */
const TROUBLES = ['fail-once', 'lose-reply-once', 'slow:150', 'slow:700', 'slow:3000', 'slow:300', 'slow:1500', 'fail'];
const TROUBLED = [
  ...['spawn', 'spawn', 'createDisks', 'destroy', 'removeDisks', 'powerOff', 'powerOn', 'reboot', 'pause', 'suspend', 'resume', 'rescue'],
  ...['attachNic', 'detachNic', 'attachVolume', 'detachVolume', 'snapshot', 'resizeDisks', 'offerDisks', 'fetchDisks', 'prepareIncoming'],
  ...['migrateLive', 'migrateLive', 'migrateLive', 'swapVolume'],
];
/** `fail` for ever would leave what is ended or given back undone for ever. */
const NEVER_FOR_EVER = ['destroy', 'removeDisks'];
function troubles(chance: Chance): Record<string, string> {
  const wanted: Record<string, string> = {};
  for (let left = chance.below(4); left > 0; left--) {
    const deed = chance.pick(TROUBLED);
    const how = chance.pick(TROUBLES);
    wanted[`fake:${deed}`] = how === 'fail' && NEVER_FOR_EVER.includes(deed) ? 'fail-once' : how;
  }
  return wanted;
}

export const create: Deed = async ({ ground, chance, at }) => {
  const dice = chance.next();
  const group = ground.groups[chance.below(ground.groups.length)];
  const count = chance.next() < 0.12 && !ground.flavors ? 2 + chance.below(2) : 1;
  const fromVolume = dice < 0.25;
  const blank = dice > 0.85;
  const wish = {
    name: `s${at}`,
    flavorRef: chance.pick(ground.flavors ?? ['1', '6', '6', '6', '2']),
    metadata: troubles(chance),
    ...(ground.zone ? { availability_zone: ground.zone } : {}),
    networks: chance.next() < 0.1 ? 'none' : chance.next() < 0.3 ? [{ uuid: ground.network }] : 'auto',
    ...(fromVolume
      ? {
          block_device_mapping_v2: [
            {
              boot_index: 0,
              source_type: 'image',
              destination_type: 'volume',
              uuid: ground.image,
              volume_size: 1,
              delete_on_termination: true,
            },
          ],
        }
      : { imageRef: ground.image }),
    ...(blank
      ? {
          block_device_mapping_v2: [
            { boot_index: 0, source_type: 'image', destination_type: 'local', uuid: ground.image, delete_on_termination: true },
            { boot_index: -1, source_type: 'blank', destination_type: 'volume', volume_size: 1, delete_on_termination: true },
          ],
        }
      : {}),
    ...(count > 1 ? { min_count: 1, max_count: count } : {}),
  };
  const hints = group && chance.next() < 0.4 ? { 'os:scheduler_hints': { group } } : {};
  const answer = await ground.demo.ask('POST', '/v2.1/servers', { server: wish, ...hints });
  if (answer.status === 202) ground.servers[at] = answer.body.server.id;
};
const remove: Deed = async ({ ground, id }) => {
  await ground.demo.ask('DELETE', server(id));
};
const attachVolume: Deed = async (turn) => {
  const volumeId = volumeOf(turn);
  if (volumeId) await turn.ground.demo.ask('POST', `${server(turn.id)}/os-volume_attachments`, { volumeAttachment: { volumeId } });
};
const attachments = async ({ ground, id }: Turn): Promise<string[]> => {
  const answer = await ground.demo.ask('GET', `${server(id)}/os-volume_attachments`);
  return (answer.body.volumeAttachments ?? []).map((one: { volumeId: string }) => one.volumeId);
};
const detachVolume: Deed = async (turn) => {
  const dice = turn.chance.next();
  const held = await attachments(turn);
  const one = held[Math.floor(dice * held.length)];
  if (!one) return;
  turn.ground.freed.add(one);
  await turn.ground.demo.ask('DELETE', `${server(turn.id)}/os-volume_attachments/${one}`);
};
const swapVolume: Deed = async (turn) => {
  const other = volumeOf(turn);
  const held = (await attachments(turn)).at(-1);
  if (!other || !held) return;
  turn.ground.freed.add(held);
  // As block storage says before it asks.
  await turn.ground.admin.ask('POST', `/volume/v3/volumes/${held}/action`, { 'os-reset_status': { migration_status: 'migrating' } });
  await turn.ground.admin.ask('PUT', `${server(turn.id)}/os-volume_attachments/${held}`, { volumeAttachment: { volumeId: other } });
};
const attachNic: Deed = ({ ground, id }) =>
  ground.demo.ask('POST', `${server(id)}/os-interface`, { interfaceAttachment: { net_id: ground.network } });
const detachNic: Deed = async ({ ground, id }) => {
  const answer = await ground.demo.ask('GET', `${server(id)}/os-interface`);
  const port = answer.body.interfaceAttachments?.at(-1)?.port_id;
  if (port) await ground.demo.ask('DELETE', `${server(id)}/os-interface/${port}`);
};
const target = ({ ground, chance }: Turn) => (chance.next() < 0.3 ? chance.pick(ground.hosts) : null);

const rebuild = act(({ ground, chance }) => ({ rebuild: { imageRef: ground.image, ...(chance.next() < 0.3 ? { name: 'anew' } : {}) } }));
const migrate = act((turn) => ({ migrate: { host: target(turn) } }), 'admin');
const migrateLive = act((turn) => ({ 'os-migrateLive': { host: target(turn), block_migration: 'auto' } }), 'admin');
const endLive: Deed = async ({ ground, chance, id }) => {
  const force = chance.next() < 0.4;
  const answer = await ground.admin.ask('GET', `${server(id)}/migrations`);
  const one = answer.body.migrations?.[0]?.id;
  if (!one) return;
  if (force) await ground.admin.ask('POST', `${server(id)}/migrations/${one}/action`, { force_complete: null });
  else await ground.admin.ask('DELETE', `${server(id)}/migrations/${one}`);
};
const resize = act(({ ground, chance }) => ({ resize: { flavorRef: chance.pick(ground.flavors ?? ['1', '6', '3', '2']) } }));
const backup = act(({ chance }) => ({ createBackup: { name: 'b', backup_type: 'daily', rotation: 1 + chance.below(2) } }));
const metadata: Deed = ({ ground, chance, id }) =>
  ground.demo.ask('POST', `${server(id)}/metadata`, { metadata: { word: String(chance.below(9)) } });
const hard = act(() => ({ reboot: { type: 'HARD' } }));
const evacuate = act((turn) => ({ evacuate: { host: target(turn) ?? undefined } }), 'admin');

/** What may be asked of servers, by name. */
export const serverDeeds = {
  remove,
  forceDelete: bare('forceDelete'),
  restore: bare('restore'),
  stop: bare('os-stop'),
  start: bare('os-start'),
  soft: act(() => ({ reboot: { type: 'SOFT' } })),
  hard,
  pause: bare('pause'),
  unpause: bare('unpause'),
  suspend: bare('suspend'),
  resume: bare('resume'),
  rescue: act(() => ({ rescue: {} })),
  unrescue: bare('unrescue'),
  lock: bare('lock'),
  unlock: bare('unlock', 'admin'),
  password: act(() => ({ changePassword: { adminPass: 'other' } })),
  dump: bare('trigger_crash_dump', 'admin'),
  image: act(() => ({ createImage: { name: 'copy' } })),
  backup,
  rebuild,
  resize,
  confirm: bare('confirmResize'),
  revert: bare('revertResize'),
  migrate,
  migrateLive,
  endLive,
  evacuate,
  shelve: bare('shelve'),
  offload: bare('shelveOffload', 'admin'),
  unshelve: bare('unshelve'),
  attachVolume,
  detachVolume,
  swapVolume,
  attachNic,
  detachNic,
  metadata,
} satisfies Record<string, Deed>;
export type ServerDeed = keyof typeof serverDeeds;

const plugs = ['attachVolume', 'attachVolume', 'detachVolume', 'attachNic', 'detachNic'] as const;
const moves = ['resize', 'resize', 'migrate', 'migrateLive', 'migrateLive', 'migrateLive', 'shelve'] as const;
/** What is likely to be allowed, by the status of a server. Whatever else may be asked too. */
const likely: Readonly<Record<string, readonly ServerDeed[]>> = {
  ACTIVE: [
    ...['stop', 'soft', 'hard', 'pause', 'suspend', 'rescue', 'password', 'dump', 'image', 'backup', 'rebuild', 'lock', 'remove'],
    ...['metadata', 'swapVolume', 'swapVolume', ...plugs, ...moves],
  ] as ServerDeed[],
  SHUTOFF: ['start', 'start', 'hard', 'rescue', 'image', 'rebuild', 'resize', 'migrate', 'shelve', 'remove', ...plugs],
  PAUSED: ['unpause', 'unpause', 'hard', 'migrateLive', 'image', 'shelve', 'remove', ...plugs],
  SUSPENDED: ['resume', 'resume', 'hard', 'shelve', 'image', 'remove'],
  RESCUE: ['unrescue', 'unrescue', 'remove'],
  VERIFY_RESIZE: ['confirm', 'revert', 'confirm', 'revert', 'attachVolume', 'detachVolume', 'remove'],
  SHELVED: ['unshelve', 'offload', 'remove'],
  SHELVED_OFFLOADED: ['unshelve', 'unshelve', 'attachVolume', 'detachVolume', 'remove'],
  ERROR: ['rebuild', 'hard', 'stop', 'rescue', 'remove', 'remove'],
  SOFT_DELETED: ['restore', 'forceDelete'],
  MIGRATING: ['endLive', 'endLive', 'remove', 'stop'],
  BUILD: ['remove', 'stop', 'lock'],
};
const all = Object.keys(serverDeeds) as ServerDeed[];

/** A deed to a server: one that its status allows in most cases. */
export async function toServer(turn: Turn): Promise<void> {
  const [dice, wild] = [turn.chance.next(), turn.chance.next()];
  const seen = await turn.ground.demo.ask('GET', server(turn.id));
  if (seen.status === 404) {
    if (turn.ground.servers[turn.at] === turn.id) turn.ground.servers[turn.at] = undefined;
    return;
  }
  const list = wild < 0.15 ? all : (likely[String(seen.body.server?.status)] ?? all);
  const name = list[Math.floor(dice * list.length)] ?? 'remove';
  await serverDeeds[name](turn);
}

const newVolume: Deed = async ({ ground, chance, at }) => {
  const place = at % ground.volumes.length;
  const old = ground.volumes[place];
  const dice = chance.next();
  if (!old) {
    const more = dice < 0.2 ? { imageRef: ground.image } : {};
    const answer = await ground.demo.ask('POST', '/volume/v3/volumes', { volume: { size: 1, name: `v${place}`, ...more } });
    if (answer.status === 202) ground.volumes[place] = answer.body.volume.id;
  } else if (dice < 0.5) {
    const answer = await ground.demo.ask('DELETE', `/volume/v3/volumes/${old}`);
    if ([202, 404].includes(answer.status)) ground.volumes[place] = undefined;
  } else if (dice < 0.75) await ground.demo.ask('POST', `/volume/v3/volumes/${old}/action`, { 'os-extend': { new_size: 2 } });
  else await ground.demo.ask('POST', '/volume/v3/snapshots', { snapshot: { volume_id: old, name: 'copy', force: true } });
};
const newGroup: Deed = async ({ ground, chance, at }) => {
  const place = at % ground.groups.length;
  const old = ground.groups[place];
  const policy = chance.pick(['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity']);
  if (!old || chance.next() < 0.7) {
    if (old) return;
    const answer = await ground.demo.ask('POST', '/v2.1/os-server-groups', { server_group: { name: `g${place}`, policy } });
    if (answer.status === 200) ground.groups[place] = answer.body.server_group.id;
  } else {
    await ground.demo.ask('DELETE', `/v2.1/os-server-groups/${old}`);
    ground.groups[place] = undefined;
  }
};
const tooMany: Deed = ({ ground }) =>
  ground.demo.ask('POST', '/v2.1/servers', {
    server: { name: 'too-many', flavorRef: '6', imageRef: ground.image, networks: 'none', min_count: 30, max_count: 30 },
  });
const nonsense: Deed = ({ ground, chance }) =>
  chance.next() < 0.5
    ? ground.demo.ask('POST', `${server('4a5b0000-0000-4000-8000-000000000000')}/action`, { 'os-stop': null })
    : ground.demo.ask('POST', '/v2.1/servers', { server: { name: 'x', flavorRef: '99', imageRef: ground.image, networks: 'auto' } });
const list: Deed = ({ ground }) => ground.demo.ask('GET', '/v2.1/servers/detail?limit=50');

/** What a client does next, as its stream of choices says. */
export async function nextDeed(ground: Ground, chance: Chance): Promise<void> {
  const [dice, at] = [chance.next(), chance.below(ground.servers.length)];
  const id = ground.servers[at] ?? '';
  const turn = { ground, chance: chance.fork(String(chance.next())), at, id };
  if (dice < 0.08) await newVolume(turn);
  else if (dice < 0.1) await newGroup(turn);
  else if (dice < 0.12) await tooMany(turn);
  else if (dice < 0.14) await nonsense(turn);
  else if (dice < 0.17) await list(turn);
  else if (id === '') await create(turn);
  else await toServer(turn);
}
