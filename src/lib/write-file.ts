import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes a file so that whoever reads it sees the old text or the new one (mode 0600), whenever the process dies or the disk is full; when `durable`, also after a
 *  power cut. Throws what the file system threw; then the old text stands. */
export function writeFileWhole(path: string, text: string, { durable = true } = {}): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeFileSync(file, text); // all of it, or it throws: a single write takes what fits
      if (durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}
