import { connect, type Socket } from 'node:net';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One QEMU machine protocol connection. QEMU serves one client a socket: whoever holds this owns the guest. */
export interface Qmp {
  /** Sends a command and answers its `return`. Throws hypervisorFailed: QEMU's own refusal, a closed connection, or no answer in time. */
  command(name: string, args?: object, timeoutMs?: number): Promise<unknown>;
  /** Answers the way to stop listening. */
  onEvent(listener: (event: QmpEvent) => void): () => void;
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
  close(): void;
}

interface Message {
  readonly QMP?: object;
  readonly event?: string;
  readonly data?: Record<string, unknown>;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** Connects and negotiates. Rejects when it takes longer than `timeoutMs`: a stopped QEMU accepts, and never greets. */
export async function connectQmp(path: string, timeoutMs = 5000): Promise<Qmp> {
  const socket = await dial(path, timeoutMs);
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (cause: Error) => void }>();
  const listeners = new Set<(event: QmpEvent) => void>();
  const greeted = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  let rest = '';
  let last = 0;

  const hear = (message: Message) => {
    if (message.QMP) return greeted.resolve();
    if (message.event) {
      for (const listener of listeners) listener({ event: message.event, data: message.data ?? {} });
      return;
    }
    const call = message.id === undefined ? undefined : waiting.get(message.id);
    if (message.id !== undefined) waiting.delete(message.id);
    if (message.error) call?.reject(hypervisorFailed({ why: `QEMU refused: ${message.error.desc}` }));
    else call?.resolve(message.return);
  };
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    rest += text;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') hear(JSON.parse(line) as Message); // QEMU's own protocol
  });
  socket.on('error', () => undefined); // 'close' follows
  socket.on('close', () => {
    const cause = hypervisorFailed({ why: 'the connection to QEMU is closed' });
    greeted.reject(cause);
    for (const call of waiting.values()) call.reject(cause);
    waiting.clear();
    gone.resolve();
  });
  greeted.promise.catch(() => undefined);

  const deadline = async <T>(work: Promise<T>, ms: number, what: string): Promise<T> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(hypervisorFailed({ why: `QEMU did not answer ${what} within ${ms} ms` })), ms);
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
  const command = (name: string, args: object = {}, ms = 5000) => {
    const id = ++last;
    const answer = Promise.withResolvers<unknown>();
    answer.promise.catch(() => undefined); // a late refusal, after the deadline, has no one to hear it
    if (socket.destroyed) return Promise.reject(hypervisorFailed({ why: 'the connection to QEMU is closed' }));
    waiting.set(id, answer);
    socket.write(`${JSON.stringify({ execute: name, arguments: args, id })}\n`);
    return deadline(answer.promise, ms, name).finally(() => waiting.delete(id));
  };
  const close = () => socket.destroy();
  try {
    await deadline(greeted.promise, timeoutMs, 'the greeting');
    await command('qmp_capabilities', {}, timeoutMs);
  } catch (cause) {
    close();
    throw cause;
  }
  const onEvent = (listener: (event: QmpEvent) => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return { command, onEvent, closed: gone.promise, close };
}

function dial(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(hypervisorFailed({ why: `no connection to ${path} within ${timeoutMs} ms` })), timeoutMs);
    const failed = (cause: Error) => {
      clearTimeout(timer);
      reject(cause);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      resolve(socket);
    });
  });
}
