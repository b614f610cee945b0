/** One deed at a time for each key (a guest, a file); others wait their turn in the order they came. */
export interface Turns {
  /** Runs `work` when all earlier ones of this key are over. Its signal aborts when somebody interrupts the key. */
  run<T>(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Tells the deeds of this key that run or wait now to hurry: their signals abort. Later ones are not touched. */
  interrupt(key: string): void;
}

export function createTurns(): Turns {
  const lines = new Map<string, { last: Promise<unknown>; hurry: AbortController; waiting: number }>();
  return {
    async run(key, work) {
      const before = lines.get(key);
      const line = before ?? { last: Promise.resolve(), hurry: new AbortController(), waiting: 0 };
      if (!before) lines.set(key, line);
      const { signal } = line.hurry;
      line.waiting++;
      const mine = line.last.then(() => work(signal));
      line.last = mine.catch(() => undefined);
      try {
        return await mine;
      } finally {
        if (--line.waiting === 0) lines.delete(key);
      }
    },
    interrupt(key) {
      const line = lines.get(key);
      if (!line) return;
      line.hurry.abort();
      line.hurry = new AbortController();
    },
  };
}
