import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { wireError } from '../../model/errors.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { MoveOffer } from '../driver.ts';
import { privateFolder, shortSocketFolder } from './guest-paths.ts';
import { type MoveAddress, type MoveQuestion, readLine, writeLine } from './move-line.ts';
import type { MoveTls } from './move-tls.ts';

/** Answers one sort of question; it owns the socket from then on. What it throws is told to the asker. */
export type MoveHandler = (question: MoveQuestion, socket: Socket) => Promise<void>;
/** An address of this host, and the ports of which the first free one is listened on; 0: any. */
export interface MovePorts {
  readonly host: string;
  readonly firstPort: number;
  readonly lastPort: number;
}
export interface MoveServer {
  /** Listens, from the first offer on, and answers what another driver needs to find one guest here. */
  offer(uuid: string): Promise<MoveOffer>;
  /** Listens: offers of an earlier run are good again. */
  listen(): Promise<void>;
  close(): Promise<void>;
}

/** Where other drivers fetch disks and send guests to. Each guest has a token of its own, made of a secret that outlives this process. */
export function createMoveServer(parts: {
  readonly stateDir: string;
  /** A port that other hosts reach; without it: a socket in the state dir, for the drivers of this machine. */
  readonly tcp: MovePorts | undefined;
  /** What is said there is encrypted, and only who has a certificate of the same authority is heard; null: it is plain. */
  readonly tls?: () => MoveTls | null;
  readonly log: Log;
  readonly handlers: Readonly<Record<MoveQuestion['want'], MoveHandler>>;
}): MoveServer {
  const { stateDir, tcp, handlers, log } = parts;
  const folder = shortSocketFolder(stateDir)?.concat('-moves') ?? stateDir;
  const path = join(folder, 'moves.sock');
  let running: Promise<{ server: Server; address: MoveAddress; secret: Buffer }> | undefined;
  const open = new Set<Socket>();

  const answer = async (socket: Socket, secret: Buffer) => {
    try {
      const question = (await readLine(socket, 10_000)) as MoveQuestion; // checked below
      const { uuid, token, want } = question;
      if (!isUuid(uuid) || typeof token !== 'string' || !Object.hasOwn(handlers, want) || !same(token, tokenOf(secret, uuid))) {
        throw hypervisorFailed({ why: 'this host expects no such question' });
      }
      await handlers[want](question, socket);
    } catch (cause) {
      log.warn({ err: cause }, 'a question of another host about a guest was not answered');
      if (!socket.destroyed) writeLine(socket, { error: wireError(cause) });
      socket.end();
    }
  };
  const start = async () => {
    const secret = await keptSecret(join(stateDir, 'moves.key'));
    const tls = tcp ? (parts.tls?.() ?? null) : null;
    const hear = (socket: Socket) => {
      socket.on('error', () => undefined); // 'close' follows
      void answer(socket, secret);
    };
    const rules = { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_MS } as const;
    const server = tls ? createTlsServer({ ca: tls.ca, ...tls.server, ...rules }, hear) : createServer(hear);
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    });
    server.on('tlsClientError', (cause: Error) => log.warn({ err: cause }, 'somebody who is no host of ours wanted to move a guest'));
    if (!tcp) {
      if (folder !== stateDir) await privateFolder(folder);
      await rm(path, { force: true });
    }
    if (!tcp) {
      await listening(server, { path });
      return { server, address: { path } as MoveAddress, secret };
    }
    const { host, firstPort, lastPort } = tcp;
    for (let port = firstPort; ; port++) {
      try {
        await listening(server, { host, port });
        const bound = server.address();
        const address: MoveAddress = { host, port: typeof bound === 'object' && bound ? bound.port : port, ...(tls ? { tls: true } : {}) };
        log.info(address, 'guests and disks of other hosts are taken here');
        return { server, address, secret };
      } catch (cause) {
        const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'; // node's net throws nothing else
        if (taken && port < lastPort) continue;
        const why = taken ? `no port from ${firstPort} to ${lastPort} is free` : String(cause);
        throw hypervisorFailed({ why: `guests cannot be taken at ${host}: ${why}` }, { cause });
      }
    }
  };
  const listen = () => {
    running ??= start().catch((cause) => {
      running = undefined;
      throw cause;
    });
    return running;
  };
  return {
    async offer(uuid) {
      const { address, secret } = await listen();
      return { ...address, uuid, token: tokenOf(secret, uuid) };
    },
    async listen() {
      await listen();
    },
    async close() {
      const { server } = (await running) ?? {};
      running = undefined;
      if (!server) return;
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      if (folder !== stateDir) await rm(folder, { recursive: true, force: true });
    },
  };
}

const HANDSHAKE_MS = 10_000;
const listening = (server: Server, where: { path: string } | { host: string; port: number }) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
const tokenOf = (secret: Buffer, uuid: string) => createHmac('sha256', secret).update(uuid.toLowerCase()).digest('hex');
const same = (a: string, b: string) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

async function keptSecret(file: string): Promise<Buffer> {
  const found = await readFile(file).catch(() => undefined);
  if (found?.length === 32) return found;
  const made = randomBytes(32);
  await writeFile(file, made, { mode: 0o600 });
  return made;
}
