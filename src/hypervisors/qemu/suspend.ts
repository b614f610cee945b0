import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestPaths } from './guest-paths.ts';
import { syncFolder } from './image-cache.ts';
import { withDiskSpace } from './programs.ts';
import type { Qmp } from './qmp.ts';

export interface MigrationStatus {
  readonly status?: string;
  readonly 'error-desc'?: string;
  readonly ram?: { readonly total: number; readonly transferred: number; readonly remaining: number };
}
export const migrationOf = async (qmp: Qmp) => (await qmp.command('query-migrate')) as MigrationStatus; // QEMU's own form

/** Waits until a migration of QEMU's has come to one of these states, and answers which. Throws hypervisorFailed when it ended otherwise, the signal's reason when told to stop. */
export async function migrationReaches(
  qmp: Qmp,
  wanted: readonly string[],
  signal: AbortSignal,
  look: (seen: MigrationStatus) => void = () => {},
): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    const seen = await migrationOf(qmp);
    look(seen);
    const { status = 'none' } = seen;
    if (wanted.includes(status)) return status;
    if (status === 'failed' || status === 'cancelled' || status === 'postcopy-paused') {
      throw hypervisorFailed({ why: `the guest's memory could not be sent: ${seen['error-desc'] ?? seen.status}` });
    }
    await pause(10);
  }
}

/** Sends the memory of a guest whose CPUs stand still into its file. QEMU writes to a socket of ours, as its sandbox forbids it to
 *  start a program for that. The file has its final name only when it is whole and on the disk. Throws noDiskSpace, hypervisorFailed. */
export async function saveMemory(qmp: Qmp, paths: GuestPaths, signal: AbortSignal): Promise<void> {
  const part = `${paths.memory}.part`;
  await rm(paths.memorySocket, { force: true });
  const file = await open(part, 'w', 0o600);
  const server = createServer();
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  try {
    const received = new Promise<void>((resolve, reject) => {
      server.once('connection', (socket) => {
        server.close();
        write(socket, file, both).then(resolve, reject);
      });
      server.once('error', reject);
    });
    received.catch((cause: unknown) => stop.abort(cause)); // a full disk ends the wait for QEMU too
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(paths.memorySocket, resolve));
    await qmp.command('migrate-set-parameters', { 'max-bandwidth': 2 ** 40 });
    await qmp.command('migrate', { uri: `unix:${paths.memorySocket}` });
    await migrationReaches(qmp, ['completed'], both);
    await received;
    await file.sync();
    await rename(part, paths.memory);
    await syncFolder(dirname(paths.memory));
  } catch (cause) {
    await qmp.command('migrate_cancel').catch(() => undefined);
    await rm(part, { force: true });
    throw withDiskSpace(stop.signal.aborted ? stop.signal.reason : cause, 'the memory of a guest was written');
  } finally {
    await file.close();
    server.close();
    await rm(paths.memorySocket, { force: true });
  }
}

async function write(from: Readable, file: FileHandle, signal: AbortSignal) {
  for await (const chunk of addAbortSignal(signal, from)) await file.writeFile(chunk); // goes on where the last one ended
}

/** Waits until an emulator that takes over memory has all of it. Throws hypervisorFailed. */
export async function memoryArrived(qmp: Qmp, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const { status } = (await qmp.command('query-status')) as { status: string }; // QEMU's own form
    if (status !== 'inmigrate') return;
    await pause(10);
  }
}

/** How long an emulator that hung up may take to go on. */
const HUNG_UP_MS = 10_000;

/** Gives an emulator that was started to take it over the memory in the file. Throws hypervisorFailed when they do not fit. */
export async function loadMemory(qmp: Qmp, paths: GuestPaths, signal: AbortSignal): Promise<void> {
  await rm(paths.memorySocket, { force: true });
  await qmp.command('migrate-incoming', { uri: `unix:${paths.memorySocket}` });
  try {
    const sent = pipeline(createReadStream(paths.memory), connect(paths.memorySocket), { signal });
    const closed = qmp.closed.then(() => {
      throw unfit();
    });
    // An emulator hangs up when it has all it wants, at times before we have said that this was all, and when it cannot read it: then it ends too.
    const handedOver = sent.catch(async (cause: unknown) => {
      if (signal.aborted) throw cause;
      await memoryArrived(qmp, AbortSignal.any([signal, AbortSignal.timeout(HUNG_UP_MS)])).catch(() => {
        throw unfit(cause);
      });
    });
    await Promise.race([Promise.all([handedOver, memoryArrived(qmp, signal)]), closed]);
  } finally {
    await rm(paths.memorySocket, { force: true });
  }
}

const unfit = (cause?: unknown) => hypervisorFailed({ why: 'the saved memory does not fit the machine' }, { cause });
