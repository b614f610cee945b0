import { fstatSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';

/** What rooms need of a log. `fields` never hold secrets or bodies of requests. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(fields: object): Log;
}

const MAX_UNWRITTEN_BYTES = 8 * 1024 * 1024;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** A log of JSON lines; `target` is a file path or, without it, standard error. A file that cannot be written any more (disk full) loses lines, never the process.
 *  A file that has grown to `maxBytes` becomes FILE.1, in place of an older one. Throws what opening the file throws. */
export function openLog(options: { level?: string; target?: string; name?: string; maxBytes?: number } = {}): Log {
  const destination = options.target ? openFile(options.target, options.maxBytes ?? MAX_FILE_BYTES) : pino.destination(2);
  destination.on('error', () => {}); // there is nowhere left to tell it
  return pino(
    { level: options.level ?? 'info', ...(options.name ? { name: options.name } : {}), timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
}

/** The file is opened at once: a process that ends before a late opening would end with that instead of its own words. */
function openFile(path: string, maxBytes: number) {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'a', 0o600);
  let size = fstatSync(fd).size;
  const destination = pino.destination({ dest: fd, sync: false, mode: 0o600, maxLength: MAX_UNWRITTEN_BYTES });
  // sonic-boom reopens by name only what it was opened with by name; the open file is handed to it, so the name is set here
  Object.assign(destination, { file: path });
  destination.on('write', (bytes: number) => {
    size += bytes;
    if (size < maxBytes) return;
    size = 0;
    try {
      // another process that writes the same file may have been faster: then only the new file is opened
      if (statSync(path).size >= maxBytes) renameSync(path, `${path}.1`);
      destination.reopen(path);
    } catch {
      // it goes on in the old file, and tries again when as much has been written
    }
  });
  return destination;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog };
