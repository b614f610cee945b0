import type { FileHandle } from 'node:fs/promises';
import { open, rename, stat, truncate } from 'node:fs/promises';

/** The last `bytes` of a file that may grow meanwhile; empty when it is not there. */
async function tail(file: string, bytes: number): Promise<Buffer> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0); // node's fs throws nothing else
    throw cause;
  }
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, bytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The newest `maxBytes` of a console, over its last rotation too. */
export async function readConsole(log: string, maxBytes: number): Promise<Buffer> {
  const now = await tail(log, maxBytes);
  return now.length >= maxBytes ? now : Buffer.concat([await tail(`${log}.1`, maxBytes - now.length), now]);
}

/** Keeps a console below about twice `limit` bytes on disk: past `limit`, its newest part is set aside and the log begins anew.
 *  The emulator keeps the file open for appending, so it is emptied in place; what comes between copy and emptying is lost. */
export async function rotateConsole(log: string, limit: number): Promise<boolean> {
  const size = (await stat(log).catch(() => undefined))?.size ?? 0;
  if (size <= limit) return false;
  const kept = await tail(log, limit);
  const aside = await open(`${log}.1.part`, 'w', 0o600);
  try {
    await aside.writeFile(kept);
  } finally {
    await aside.close();
  }
  await truncate(log, 0);
  await rename(`${log}.1.part`, `${log}.1`);
  return true;
}
