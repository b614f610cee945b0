import { addAbortSignal, type Readable } from 'node:stream';

/** The promise's outcome, or at once the signal's reason when it aborts; the promise itself goes on unheard. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

/** Opens a stream that ends with the signal's abort, also when the abort comes while it is being opened: then it is closed unread. */
export async function openAbortable(open: () => Promise<Readable>, signal: AbortSignal): Promise<Readable> {
  signal.throwIfAborted();
  const opening = open();
  opening.then(
    (stream) => {
      if (signal.aborted) stream.on('error', () => undefined).destroy();
    },
    () => undefined,
  );
  return addAbortSignal(signal, await abortable(opening, signal));
}
