export interface Slots {
  /** Resolves when it is one's turn, and answers how to end it; when `signal` aborts first, at once and without a turn. */
  take(signal: AbortSignal): Promise<() => void>;
}

/** At most `size` at once (0: any number); others wait, and are next in the order they came. */
export function createSlots(size: number): Slots {
  let busy = 0;
  const waiting: (() => void)[] = [];
  /** A slot goes from hand to hand: nobody who comes now takes it from who waits. */
  const free = () => {
    const next = waiting.shift();
    if (next) next();
    else busy--;
  };
  return {
    async take(signal) {
      if (signal.aborted) return () => {};
      if (size === 0 || busy < size) {
        busy++;
        return free;
      }
      return new Promise((resolve) => {
        const go = () => {
          signal.removeEventListener('abort', leave);
          resolve(free);
        };
        const leave = () => {
          waiting.splice(waiting.indexOf(go), 1);
          resolve(() => {});
        };
        waiting.push(go);
        signal.addEventListener('abort', leave, { once: true });
      });
    },
  };
}
