import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageClient } from '../../src/clients/image.ts';
import { neighbour } from '../../src/clients/neighbour.ts';
import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openFrontDoor } from '../../src/http/front-door.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type Caller, nobody } from '../../src/model/caller.ts';
import { notAuthenticated } from '../../src/model/errors.ts';
import { createVolumeApp } from '../../src/services/volume/app.ts';
import { ownDatabase } from '../support/compute-database.ts';
import { leanFetch } from '../support/lean-fetch.ts';

const hex = (digit: string) => digit.repeat(32);
const person = (project: string, ...roles: string[]): Caller => ({ ...nobody, userId: hex('f'), projectId: project, roles });
export const projects = { admin: hex('a'), ann: hex('1'), bob: hex('2'), service: hex('5') };
/** Callers by token. */
export const callers: Readonly<Record<string, Caller>> = {
  admin: person(projects.admin, 'admin', 'member', 'reader'),
  ann: person(projects.ann, 'member', 'reader'),
  annReads: person(projects.ann, 'reader'),
  bob: person(projects.bob, 'member', 'reader'),
  service: person(projects.service, 'service', 'admin', 'member', 'reader'),
};
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many forms
  readonly body: any;
}

/** A real block storage service on a port, a database and a directory of its own. `imageUrl`: a real image service's. */
export async function openVolumeHouse(
  options: {
    imageUrl?: () => string;
    imageToken?: string;
    qemuImg?: string | null;
    /** Stands between the service and the database. */
    between?: (db: Database) => Database;
  } = {},
) {
  const dir = await mkdtemp(join(tmpdir(), 'kilonova-volume-'));
  const { db, drop } = await ownDatabase();
  await migrate(db);
  const grown: string[] = [];
  const open = async () => {
    const app = await createVolumeApp({
      db: options.between?.(db) ?? db,
      clock: systemClock,
      log: silentLog,
      storeDir: join(dir, 'volumes'),
      images: imageClient(
        neighbour({ service: 'image', url: options.imageUrl ?? 'http://127.0.0.1:1', token: async () => options.imageToken ?? 'service' }),
      ),
      host: 'here',
      ...(options.qemuImg === undefined ? {} : { qemuImg: options.qemuImg }),
      grown: async (id) => void grown.push(id),
      checkToken: async (token) => {
        const caller = Object.hasOwn(callers, token) ? callers[token] : undefined;
        if (!caller) throw notAuthenticated({});
        return caller;
      },
    });
    const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
    return { app, door, url: `http://127.0.0.1:${door.address.port}/volume` };
  };
  let running = await open();
  /** `place`: 'GET /v3/volumes'; `/…` without v3 is taken in it. */
  const ask = async (who: string | null, place: string, body?: unknown, more: { at?: string; key?: string } = {}): Promise<Answer> => {
    const [method = 'GET', path = '/'] = place.split(' ');
    const answer = await leanFetch(`${running.url}${path}`, {
      method,
      headers: {
        'openstack-api-version': `volume ${more.at ?? '3.70'}`,
        ...(who === null ? {} : { 'x-auth-token': who }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(more.key === undefined ? {} : { 'idempotency-key': more.key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
  };
  return {
    db,
    dir,
    grown,
    ask,
    idle: () => running.app.idle(),
    /** Makes a volume that is done when it resolves. */
    async volume(who: string, more: object = {}): Promise<string> {
      const made = await ask(who, 'POST /v3/volumes', { volume: { size: 1, ...more } });
      if (made.status !== 202) throw new Error(`create answered ${made.status}: ${JSON.stringify(made.body)}`);
      await running.app.idle();
      return made.body.volume.id;
    },
    /** Makes a type of volumes. */
    async type(name: string): Promise<string> {
      const made = await ask('admin', 'POST /v3/types', { volume_type: { name } });
      if (made.status !== 200) throw new Error(`create answered ${made.status}: ${JSON.stringify(made.body)}`);
      return made.body.volume_type.id;
    },
    show: async (id: string, who = 'admin') => (await ask(who, `GET /v3/volumes/${id}`)).body?.volume,
    restart: async (between?: () => Promise<void>) => {
      await running.door.close();
      await running.app.close();
      await between?.();
      running = await open();
    },
    close: async () => {
      await running.door.close();
      await running.app.close();
      await drop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
export type VolumeHouse = Awaited<ReturnType<typeof openVolumeHouse>>;
