/** Gathers items that come in the same turn of the event loop and hands them over together; each caller gets its own answer. */
export function batched<I, O>(run: (items: I[]) => Promise<readonly O[]>, limit: number): (item: I) => Promise<O> {
  let waiting: { item: I; resolve: (answer: O) => void; reject: (cause: unknown) => void }[] = [];
  const go = async () => {
    const batch = waiting;
    waiting = [];
    for (let at = 0; at < batch.length; at += limit) {
      const part = batch.slice(at, at + limit);
      try {
        const answers = await run(part.map((one) => one.item));
        for (const [index, one] of part.entries()) one.resolve(answers[index] as O); // run answers one for each
      } catch (cause) {
        for (const one of part) one.reject(cause);
      }
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(() => void go());
      waiting.push({ item, resolve, reject });
    });
}
