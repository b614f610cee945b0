import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Neighbour, neighbour } from '../clients/neighbour.ts';
import { keepSecrets } from '../cloud/secrets.ts';
import type { Clock } from '../lib/clock.ts';
import { writeFileWhole } from '../lib/write-file.ts';

export interface DemoOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Whether guests of this cloud are real, as far as the caller knows; undefined: found out. */
  readonly keep: boolean;
}

interface ServerAnswer {
  readonly server: {
    readonly id: string;
    readonly status: string;
    readonly addresses: Record<string, { addr: string }[]>;
    readonly fault?: { message: string };
    readonly 'OS-EXT-STS:task_state': string | null;
    readonly created: string;
    readonly 'OS-EXT-SRV-ATTR:host'?: string;
  };
}
interface EventAnswer {
  readonly event: string;
  readonly start_time: string;
  readonly finish_time: string | null;
  readonly result: string | null;
  readonly details?: string | null;
  readonly host?: string;
}

/** Boots one server on the running cloud with a fresh key pair and shows every step with its time; answers whether it came up.
 *  Removes the server and the key at the end unless `keep`. */
export async function demo(options: DemoOptions): Promise<boolean> {
  const { clock, say, dataDir } = options;
  const base = readFileSync(join(dataDir, 'endpoint'), 'utf8').trim();
  const secrets = keepSecrets(dataDir);
  const user = await login(base, 'demo', secrets.demoPassword, 'demo');
  const admin = await login(base, 'admin', secrets.adminPassword, 'admin');
  const image = await waitForImage(user, options);
  if (!image) {
    say('no image that could be booted is there; upload one with: openstack image create --disk-format qcow2 --file FILE NAME');
    return false;
  }
  const name = `demo-${(clock.now() / 1_000_000).toString(36).replace('.', '')}`;
  const key = await user.compute.ask<{ keypair: { private_key: string } }>('POST', '/os-keypairs', { body: { keypair: { name } } });
  const keyFile = join(dataDir, `${name}.pem`);
  writeFileWhole(keyFile, key.body.keypair.private_key);
  const start = clock.now();
  const made = await user.compute.ask<ServerAnswer>('POST', '/servers', {
    body: {
      server: {
        name,
        imageRef: image.id,
        flavorRef: await flavorId(user, 'k1.nano'),
        key_name: name,
        networks: 'auto',
        user_data: Buffer.from('#!/bin/sh\necho "hello from user data"\n').toString('base64'),
      },
    },
    headers: { 'openstack-api-version': 'compute 2.37' },
  });
  const id = made.body.server.id;
  const at = (micros: number) => `${((micros - start) / 1_000_000).toFixed(3).padStart(8)} s`;
  say('');
  say(`server ${name} (${id}) from image ${image.name}, flavor k1.nano`);
  say(`${at(clock.now())}  accepted     202, the job is in the database`);
  const shown = new Set<string>();
  let consoleText = '';
  let status = 'BUILD';
  let lastTask: string | null | undefined;
  const wantsLogin = image.real;
  const deadline = clock.now() + 240_000_000;
  let loginSeen = false;
  while (!options.signal.aborted && clock.now() < deadline) {
    const server = (await user.compute.ask<ServerAnswer>('GET', `/servers/${id}`)).body.server;
    for (const event of await events(admin, id)) {
      const word = `${event.event}|${event.host ?? ''}|${event.start_time}`;
      if (!event.finish_time || shown.has(word)) continue;
      shown.add(word);
      const took = (parseTime(event.finish_time) - parseTime(event.start_time)) / 1000;
      say(
        `${at(parseTime(event.finish_time))}  ${plain(event.event).padEnd(12)} ${event.result === 'Error' ? 'FAILED ' : ''}${took >= 1 ? `in ${took.toFixed(0)} ms` : ''}${event.details ? `  ${event.details.split('\n')[0]}` : ''}`,
      );
    }
    if (server['OS-EXT-STS:task_state'] !== lastTask && server.status === 'BUILD') {
      lastTask = server['OS-EXT-STS:task_state'];
      if (lastTask && lastTask !== 'scheduling') say(`${at(clock.now())}  ${'task'.padEnd(12)} ${lastTask}`);
    }
    if (server.status !== status) {
      status = server.status;
      const addresses = Object.values(server.addresses)
        .flat()
        .map((a) => a.addr);
      say(
        `${at(clock.now())}  ${status.toLowerCase().padEnd(12)} ${addresses.length ? `address ${addresses.join(', ')}` : ''}${server.fault ? server.fault.message : ''}`,
      );
    }
    if (status === 'ERROR') break;
    if (status === 'ACTIVE') {
      consoleText = await consoleOf(user, id);
      if (/login:\s*$/m.test(consoleText)) {
        loginSeen = true;
        say(`${at(clock.now())}  login        the guest shows its login prompt`);
        break;
      }
      if (!wantsLogin) break;
    }
    await clock.sleep(wantsLogin ? 250 : 20, options.signal);
  }
  const fine = status === 'ACTIVE' && (loginSeen || !wantsLogin);
  if (consoleText) {
    say('');
    say("the console's last lines:");
    for (const line of consoleText.trimEnd().split('\n').slice(-8)) say(`  | ${printable(line)}`);
  }
  if (fine && wantsLogin) {
    const forward = (await events(admin, id)).map((event) => /ssh (\S+):(\d+)/.exec(event.details ?? '')).find(Boolean);
    if (forward) say(`log in: ssh -i ${keyFile} -p ${forward[2]} -o StrictHostKeyChecking=no cloud@${forward[1]}`);
  }
  if (!fine && status !== 'ERROR') say(options.signal.aborted ? 'interrupted' : `the guest did not get there in time; it is ${status}`);
  if (!options.keep || !fine) {
    await remove(user, id, name, options);
    rmSync(keyFile, { force: true });
  } else say(`remove it: openstack --os-cloud kilonova server delete ${name}`);
  return fine;
}

export interface Login {
  readonly compute: Neighbour;
  readonly image: Neighbour;
}

export async function login(base: string, name: string, password: string, project: string): Promise<Login> {
  const domain = { name: 'Default' };
  const answer = await neighbour({ service: 'identity', url: `${base}/identity` }).ask('POST', '/v3/auth/tokens', {
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { name, domain, password } } },
        scope: { project: { name: project, domain } },
      },
    },
  });
  const token = async () => answer.headers['x-subject-token'] ?? '';
  return {
    compute: neighbour({ service: 'compute', url: `${base}/v2.1`, token }),
    image: neighbour({ service: 'image', url: `${base}/image`, token }),
  };
}

interface DemoImage {
  readonly id: string;
  readonly name: string;
  /** False: a placeholder that only the fake hypervisor boots. */
  readonly real: boolean;
}

/** The newest bootable image; while the tiny one is being built, waits for it. */
async function waitForImage(user: Login, options: DemoOptions): Promise<DemoImage | undefined> {
  const building = join(options.dataDir, 'tiny-image.building');
  let told = 0;
  for (;;) {
    const { images } = (
      await user.image.ask<{ images: { id: string; name: string; container_format: string; kilonova_placeholder?: string }[] }>(
        'GET',
        '/v2/images?status=active&sort=created_at:desc',
      )
    ).body;
    const bootable = images.filter((image) => image.container_format === 'bare');
    const real = bootable.find((image) => image.kilonova_placeholder === undefined);
    if (real) return { ...real, real: true };
    const placeholder = bootable[0];
    if (!existsSync(building)) return placeholder ? { ...placeholder, real: false } : undefined;
    const elapsed = Math.round((told++ * 500) / 1000);
    if (told % 10 === 1) options.say(`the tiny image is being built (${elapsed} s; once, then it is kept)`);
    if (options.signal.aborted) return undefined;
    await options.clock.sleep(500, options.signal);
  }
}

async function flavorId(user: Login, name: string): Promise<string> {
  const { flavors } = (await user.compute.ask<{ flavors: { id: string; name: string }[] }>('GET', '/flavors')).body;
  const found = flavors.find((flavor) => flavor.name === name) ?? flavors[0];
  if (!found) throw new Error('no flavor is there');
  return found.id;
}

async function events(admin: Login, id: string): Promise<EventAnswer[]> {
  const headers = { 'openstack-api-version': 'compute 2.84' };
  const { instanceActions } = (
    await admin.compute.ask<{ instanceActions: { request_id: string; action: string }[] }>('GET', `/servers/${id}/os-instance-actions`, {
      headers,
    })
  ).body;
  const create = instanceActions.find((action) => action.action === 'create');
  if (!create) return [];
  const { instanceAction } = (
    await admin.compute.ask<{ instanceAction: { events: EventAnswer[] } }>(
      'GET',
      `/servers/${id}/os-instance-actions/${create.request_id}`,
      { headers },
    )
  ).body;
  return instanceAction.events
    .toReversed()
    .sort((a, b) => parseTime(a.finish_time ?? '9999-01-01T00:00:00') - parseTime(b.finish_time ?? '9999-01-01T00:00:00'));
}

async function consoleOf(user: Login, id: string): Promise<string> {
  const answer = await user.compute.ask<{ output: string }>('POST', `/servers/${id}/action`, {
    body: { 'os-getConsoleOutput': { length: 60 } },
    expect: [200, 404, 409],
  });
  return answer.status === 200 ? answer.body.output : '';
}

async function remove(user: Login, id: string, key: string, options: DemoOptions): Promise<void> {
  await user.compute.ask('DELETE', `/servers/${id}`, { expect: [204, 404] });
  await user.compute.ask('DELETE', `/os-keypairs/${key}`, { expect: [202, 204, 404] });
  for (let tries = 0; tries < 600; tries++) {
    const { status } = await user.compute.ask('GET', `/servers/${id}`, { expect: [200, 404] });
    if (status === 404) return options.say('the server is removed');
    await options.clock.sleep(100);
  }
  options.say(`the server ${id} is still being removed`);
}

/** Microseconds of `2026-11-21T01:02:03.000004`. */
function parseTime(text: string): number {
  const [whole = '', part = ''] = text.replace('Z', '').split('.');
  return Date.parse(`${whole}Z`) * 1000 + Number(part.padEnd(6, '0').slice(0, 6) || 0);
}
/** What each event of a create is in plain words; others are shown as they are. */
const PLAIN: Readonly<Record<string, string>> = {
  conductor_schedule_and_build_instances: 'scheduled',
  schedule_and_build_instances: 'scheduled',
  phase_network: 'address',
  phase_image: 'image',
  phase_disk: 'disk made',
  phase_relay: 'relay',
  phase_spawn: 'spawned',
  phase_metadata: 'metadata',
  compute__do_build_and_run_instance: 'built',
};
const plain = (event: string) => PLAIN[event] ?? event.replaceAll('_', ' ');
// Guests write what they like: only what a terminal shows as text is passed on.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const printable = (line: string) => line.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll(/[\u0000-\u001f\u007f]/g, '');
