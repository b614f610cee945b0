import { type Asker, askerFor } from './asker.ts';
import { chance } from './chance.ts';
import { type ChaosCloud, openChaosCloud, REAL } from './cloud.ts';
import { endMigrations } from './crash-stories.ts';
import { type Ground, nextDeed } from './deeds.ts';
import { offerTinyGuest } from './real-host.ts';
import { auditAll, leftovers, patiently, unrest, wipe } from './settle.ts';
import { planStrikes, type Strike } from './strikes.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly clients: number;
  readonly hosts: number;
  /** Real guests at most, on a host of their own. */
  readonly guests: number;
  readonly engine: 'sqlite' | 'mariadb' | 'postgres';
  readonly outside: boolean;
  readonly strikesPerMinute: number;
  readonly say: (line: string) => void;
  /** Leaves the data dirs where they are when something was wrong. */
  readonly keep: boolean;
}
export interface ChaosResult {
  /** Sentences: what does not agree at the end. Empty: all is well. */
  readonly wrong: readonly string[];
  readonly kills: number;
  readonly asked: number;
  readonly answered: Readonly<Record<string, number>>;
  readonly servers: number;
  /** What was asked of real guests and accepted, how often; emulators ended from outside. */
  readonly guests: Readonly<Record<string, number>>;
}

const SETTLE_MS = 240_000;

/** One run of chaos: clients ask, parts are struck, everything comes to rest, everything is held against everything else, all is deleted, and nothing may be
 *  left. The seed determines what each client asks, in which order, and when what is struck. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { say } = options;
  const root = chance(`chaos ${options.seed}`);
  const softDelete = root.fork('settings').next() < 0.3;
  const cloud = await openChaosCloud({
    engine: options.engine,
    hosts: options.hosts,
    guests: options.guests,
    outside: options.outside,
    softDelete,
  });
  const wrong: string[] = [];
  let result: ChaosResult | undefined;
  try {
    result = await run(cloud, options, root, wrong);
    return result;
  } finally {
    if (options.keep && (result === undefined || result.wrong.length > 0))
      say(`data dirs are kept in ${cloud.house.dir}, the database in ${cloud.dir}`);
    else await cloud.remove();
  }
}

async function run(cloud: ChaosCloud, options: ChaosOptions, root: ReturnType<typeof chance>, wrong: string[]): Promise<ChaosResult> {
  const { house, db, hosts } = cloud;
  const { say } = options;
  const once = new Set<string>();
  const tell = (what: string) => {
    const shape = what.replace(/[0-9a-f-]{36}/g, ':id');
    if (!once.has(shape)) wrong.push(what);
    once.add(shape);
  };
  const [demo, admin] = await Promise.all([
    askerFor(house.base, house.dataDir('api'), 'demo', tell),
    askerFor(house.base, house.dataDir('api'), 'admin', tell),
  ]);
  const answers: Record<string, number> = {};
  let asked = 0;
  const counted = (asker: typeof demo): typeof demo => ({
    async ask(...words) {
      asked++;
      const answer = await asker.ask(...words);
      answers[answer.status] = (answers[answer.status] ?? 0) + 1;
      return answer;
    },
  });
  const project = (await demo.ask('GET', '/identity/v3/auth/projects')).body.projects?.[0]?.id;
  await admin.ask('PUT', `/volume/v3/os-quota-sets/${project}`, { quota_set: { volumes: 60, snapshots: 40, gigabytes: 300 } });
  await admin.ask('PUT', `/network/v2.0/quotas/${project}`, { quota: { port: 70 } });
  const images: { id: string }[] = (await demo.ask('GET', '/image/v2/images')).body.images;
  const networks: { id: string; name: string; 'router:external': boolean }[] = (await demo.ask('GET', '/network/v2.0/networks')).body
    .networks;
  const ground: Ground = {
    demo: counted(demo),
    admin: counted(admin),
    image: images[0]?.id ?? '',
    network: networks.find((one) => !one['router:external'])?.id ?? '',
    hosts: hosts.filter((host) => host !== REAL),
    zone: options.guests > 0 ? 'nova' : undefined,
    flavors: undefined,
    servers: Array<undefined>(20).fill(undefined),
    volumes: Array<undefined>(10).fill(undefined),
    groups: Array<undefined>(4).fill(undefined),
    freed: new Set(),
  };
  const real = options.guests > 0 ? await realGround(ground, admin, options.guests) : undefined;
  const seeded = new Set(images.map((one) => one.id));
  const began = performance.now();
  const since = () => performance.now() - began;
  const endMs = options.minutes * 60_000;
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  const client = async (name: string, on: Ground, lazyMs: number) => {
    const own = root.fork(name);
    for (let turn = 0; since() < endMs; turn++) {
      const mine = own.fork(String(turn));
      const pause = mine.next() ** 2 * lazyMs;
      await nextDeed(on, mine);
      await sleep(pause);
    }
  };

  let kills = 0;
  const busy = new Map<string, Promise<void>>();
  const strike = async ({ victim, how, awayMs }: Strike) => {
    say(`${(since() / 1000).toFixed(1)} s: ${how} ${victim} for ${awayMs} ms`);
    kills++;
    if (how === 'freeze') {
      cloud.freeze(victim, true);
      await sleep(awayMs);
      cloud.freeze(victim, false);
      return;
    }
    await cloud.end(victim, how === 'end' ? 'end' : 'kill');
    const service = how === 'evacuate' ? await evacuate(victim) : undefined;
    await sleep(awayMs);
    await cloud.start(victim);
    // Only a host that is back has put away what was evacuated, and may be a host again.
    if (service) await restore(service);
  };
  /** Answers the service that is down now. */
  const evacuate = async (host: string): Promise<string | undefined> => {
    const found = await admin.ask('GET', `/v2.1/os-services?binary=nova-compute&host=${host}`);
    const service: string | undefined = found.body.services?.[0]?.id;
    if (!service) return undefined;
    await admin.ask('PUT', `/v2.1/os-services/${service}`, { forced_down: true });
    const rows = await db.read.selectFrom('servers').select('uuid').where('host', '=', host).where('deleted', '=', 0).execute();
    await Promise.all(rows.map((row) => ground.admin.ask('POST', `/v2.1/servers/${row.uuid}/action`, { evacuate: {} })));
    return service;
  };
  const restore = (service: string) =>
    patiently(
      async () => ((await admin.ask('PUT', `/v2.1/os-services/${service}`, { forced_down: false })).status === 200 ? [] : ['forced down']),
      60_000,
    );
  const striker = async () => {
    for (const one of planStrikes(root.fork('strikes'), cloud.victims, { endMs, perMinute: options.strikesPerMinute })) {
      await sleep(Math.max(0, one.at - since()));
      if (busy.has(one.victim)) continue; // it is away already
      const done = strike(one)
        .catch((cause) => tell(`${one.victim} did not come back: ${cause instanceof Error ? cause.message : cause}`))
        .finally(() => busy.delete(one.victim));
      busy.set(one.victim, done);
    }
    await Promise.all(busy.values());
  };
  const clients = Array.from({ length: options.clients }, (_none, at) => client(`client ${at}`, ground, 600));
  // Real guests take seconds for what others do at once.
  const guestClients = real ? Array.from({ length: 2 }, (_none, at) => client(`guest client ${at}`, real, 5000)) : [];
  await Promise.all([striker(), ...clients, ...guestClients]);

  say(`${(since() / 1000).toFixed(1)} s: all parts are back, ${asked} requests, ${kills} strikes; waiting for rest`);
  for (const name of cloud.victims.map((one) => one.name)) if (!cloud.isUp(name)) tell(`${name} is not there any more`);
  const { n: servers } = await db.read
    .selectFrom('servers')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  const found = (lines: readonly string[]) => {
    for (const line of lines) say(line);
    wrong.push(...lines);
  };
  const actions = await db.read
    .selectFrom('server_actions')
    .innerJoin('servers', 'servers.uuid', 'server_actions.server_uuid')
    .select(['action', (eb) => eb.fn.countAll<number>().as('n')])
    .where('servers.availability_zone', '=', ZONE)
    .groupBy('action')
    .execute();
  const guests = Object.fromEntries([...actions.map((row) => [row.action, Number(row.n)] as const), ['killed', cloud.emulatorsEnded()]]);
  found((await patiently(() => unrest(cloud), SETTLE_MS)).map((what) => `no rest: ${what}`));
  say(`${(since() / 1000).toFixed(1)} s: at rest`);
  await endMigrations(db, admin);
  found(await patiently(() => auditAll(cloud), 30_000));
  say(`${(since() / 1000).toFixed(1)} s: held against each other; deleting all`);
  found(await wipe(cloud, demo, admin, { images: seeded, volumes: new Set([...ground.freed, ...(real?.freed ?? [])]) }));
  found((await patiently(() => leftovers(cloud), 30_000)).map((what) => `after deleting all: ${what}`));
  wrong.push(...(await cloud.stop()));
  return { wrong, kills, asked, answered: answers, servers: Number(servers), guests: options.guests > 0 ? guests : {} };
}

const ZONE = 'real';
/** Where clients ask for real guests: a zone of one host, which no fake guest comes to. */
async function realGround(ground: Ground, admin: Asker, guests: number): Promise<Ground> {
  const { body } = await admin.ask('POST', '/v2.1/os-aggregates', { aggregate: { name: ZONE, availability_zone: ZONE } });
  const added = await admin.ask('POST', `/v2.1/os-aggregates/${body.aggregate?.id}/action`, { add_host: { host: REAL } });
  if (added.status !== 200) throw new Error(`the zone of real guests is not made: ${added.status} ${added.text}`);
  return {
    ...ground,
    image: await offerTinyGuest(admin),
    hosts: [REAL],
    zone: ZONE,
    flavors: ['6', '6', '1'],
    servers: Array<undefined>(guests).fill(undefined),
    volumes: Array<undefined>(2).fill(undefined),
    groups: [undefined],
    freed: new Set(),
  };
}
