import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFresh } from '../../../test/support/fresh-database.ts';
import { leanFetch } from '../../../test/support/lean-fetch.ts';
import { openFrontDoor } from '../../http/front-door.ts';
import { manualClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type Caller, nobody } from '../../model/caller.ts';
import { notAuthenticated } from '../../model/errors.ts';
import { createImageApp, type ImageAppOptions } from './app.ts';

const hex = (digit: string) => digit.repeat(32);
const person = (name: string, project: string, roles: string[]): Caller => ({
  ...nobody,
  userId: hex('f'),
  userName: name,
  projectId: project,
  roles,
});

export const projects = { admin: hex('a'), ann: hex('1'), bob: hex('2'), carl: hex('3') };
/** Callers by token. */
export const callers: Readonly<Record<string, Caller>> = {
  admin: person('admin', projects.admin, ['admin', 'member', 'reader']),
  ann: person('ann', projects.ann, ['member', 'reader']),
  annReads: person('annReads', projects.ann, ['reader']),
  bob: person('bob', projects.bob, ['member', 'reader']),
  carl: person('carl', projects.carl, ['member', 'reader']),
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many forms
  readonly body: any;
}

/** A real image service on a port of its own, with its own database and directory. */
export async function openImageHouse(options: Partial<ImageAppOptions> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'kilonova-image-'));
  const db = await openFresh(join(dir, 'cloud.db'));
  const clock = manualClock();
  const storeDir = options.storeDir ?? join(dir, 'images');
  const open = async () => {
    const app = await createImageApp({
      db,
      clock,
      log: silentLog,
      storeDir,
      checkToken: async (token) => {
        const caller = Object.hasOwn(callers, token) ? callers[token] : undefined;
        if (!caller) throw notAuthenticated({});
        return caller;
      },
      ...options,
    });
    const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
    return { app, door, url: `http://127.0.0.1:${door.address.port}/image` };
  };
  let running = await open();
  const ask = async (
    who: string | null,
    method: string,
    path: string,
    // biome-ignore lint/suspicious/noExplicitAny: any body, also hostile ones
    body?: any,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const raw = typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream;
    const answer = await (body instanceof ReadableStream ? fetch : leanFetch)(`${running.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(who === null ? {} : { 'x-auth-token': who }),
        ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    } as RequestInit & Parameters<typeof leanFetch>[1]);
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false;
    return { status: answer.status, headers: answer.headers, text, body: isJson && text !== '' ? JSON.parse(text) : undefined };
  };
  return {
    db,
    clock,
    dir,
    storeDir,
    ask,
    url: () => running.url,
    create: async (who: string, more: object = {}): Promise<string> => {
      const made = await ask(who, 'POST', '/v2/images', { name: 'i', disk_format: 'raw', container_format: 'bare', ...more });
      if (made.status !== 201) throw new Error(`create answered ${made.status}: ${made.text}`);
      return made.body.id;
    },
    upload: (who: string, id: string, data: Uint8Array | string | ReadableStream) =>
      ask(who, 'PUT', `/v2/images/${id}/file`, data, { 'content-type': 'application/octet-stream' }),
    patch: (who: string, id: string, steps: unknown, version = '2.1') =>
      ask(who, 'PATCH', `/v2/images/${id}`, steps, { 'content-type': `application/openstack-images-v${version}-json-patch` }),
    /** Ends the service as a stop does and opens it anew on the same database and directory. */
    restart: async (between?: () => Promise<void>) => {
      await running.door.close();
      await running.app.close();
      await between?.();
      running = await open();
    },
    close: async () => {
      await running.door.close();
      await running.app.close();
      await db.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
export type ImageHouse = Awaited<ReturnType<typeof openImageHouse>>;

/** The head of a qcow2 file, version 3. */
export function qcow2Head(more: { size?: bigint; backing?: bigint; features?: bigint; version?: number } = {}): Buffer {
  const head = Buffer.alloc(512);
  head.writeUInt32BE(0x514649fb, 0);
  head.writeUInt32BE(more.version ?? 3, 4);
  head.writeBigUInt64BE(more.backing ?? 0n, 8);
  head.writeUInt32BE(16, 20);
  head.writeBigUInt64BE(more.size ?? 1n << 30n, 24);
  head.writeBigUInt64BE(more.features ?? 0n, 72);
  head.writeUInt32BE(104, 100);
  return head;
}
