/** What Prometheus is told of this process. Its collectors wake up all the time, so they begin at the first question: only then is there somebody to tell. */
export function processMetrics(): () => Promise<string> {
  let registry: Promise<{ metrics(): Promise<string> }> | undefined;
  const open = async () => {
    const { collectDefaultMetrics, Registry } = await import('prom-client');
    const opened = new Registry();
    collectDefaultMetrics({ register: opened, prefix: 'kilonova_' });
    return opened;
  };
  return async () => {
    registry ??= open();
    return (await registry).metrics();
  };
}
