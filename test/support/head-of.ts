import { closeSync, openSync, readSync } from 'node:fs';

/** The first bytes of a file as text; a disk of a GiB is not read whole for them. */
export function headOf(file: string, bytes: number): string {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(fd, buffer, 0, bytes, 0)).toString('latin1');
  } finally {
    closeSync(fd);
  }
}
