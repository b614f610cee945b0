import { spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestPaths } from './guest-paths.ts';
import { ended, identify, killProcess, type ProcessIdentity } from './process-identity.ts';
import { findProgram } from './programs.ts';
import { connectQmp, type Qmp } from './qmp.ts';

export interface Emulator {
  readonly process: ProcessIdentity;
  readonly qmp: Qmp;
}

/** Starts QEMU in a session of its own, so that it outlives us, and waits until it answers on its QMP socket.
 *  `portTaken`: somebody took a forwarded port between our look and QEMU's bind; choose another and call again.
 *  Throws hypervisorFailed with QEMU's own last words; then no process is left. */
export async function startEmulator(argv: readonly string[], paths: GuestPaths, deadlineMs: number): Promise<Emulator | 'portTaken'> {
  for (const file of [paths.qmpSocket, paths.serialSocket, paths.vncSocket, paths.agentSocket, paths.pidFile])
    await rm(file, { force: true });
  const log = await open(paths.qemuLog, 'w', 0o600);
  let exit: string | undefined;
  const child = spawn(findProgram('qemu-system-x86_64') ?? 'qemu-system-x86_64', argv, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  child.on('error', (cause) => {
    exit ??= cause.message;
  });
  child.on('exit', (code, signal) => {
    exit ??= signal ? `ended by ${signal}` : `exit status ${code}`;
  });
  child.unref();
  await log.close();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  const until = Date.now() + deadlineMs;
  let trouble: unknown;
  while (exit === undefined && Date.now() < until) {
    try {
      const qmp = await connectQmp(paths.qmpSocket, Math.max(1, until - Date.now()));
      if (identity) return { process: identity, qmp };
    } catch (cause) {
      trouble = cause; // not listening yet
      await pause(5);
    }
  }
  if (identity && exit === undefined) {
    killProcess(identity);
    await ended(identity, 2000);
  }
  const said = await readFile(paths.qemuLog, 'utf8').catch(() => '');
  if (/Could not set up host forwarding rule/.test(said)) return 'portTaken';
  const why = said.trim().split('\n').at(-1) || (exit ?? `it did not answer within ${deadlineMs} ms`);
  throw hypervisorFailed(
    { why: `QEMU did not start: ${why.replace(/^qemu-system-x86_64: /, '')}` },
    { cause: trouble, detail: `${exit}\n${said}` },
  );
}

/** A port of the loopback address that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
