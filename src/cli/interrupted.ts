import cluster from 'node:cluster';

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. A worker process hears its parent and the terminal both, so there it does not. */
export function interrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted && !cluster.isWorker) process.exit(signal === 'SIGINT' ? 130 : 143);
      abort.abort();
    });
  }
  return abort.signal;
}

export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve())));
