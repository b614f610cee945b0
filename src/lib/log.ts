import { pino } from 'pino';

/** What rooms need of a log. `fields` never hold secrets or bodies of requests. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(fields: object): Log;
}

/** A log of JSON lines; `target` is a file path or, without it, standard error. */
export function openLog(options: { level?: string; target?: string; name?: string } = {}): Log {
  const destination = options.target
    ? pino.destination({ dest: options.target, mkdir: true, sync: false, mode: 0o600 })
    : pino.destination(2);
  return pino(
    { level: options.level ?? 'info', ...(options.name ? { name: options.name } : {}), timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog };
