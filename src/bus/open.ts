import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Bus, Unkindness } from './bus.ts';

/** Opens the bus that the URL names: `memory://` inside one process, `rabbit://...` (nova.conf's transport_url) between several. RabbitMQ's client is
 *  loaded only when named. Does not wait for the broker. Throws a plain Error for a URL that names no bus. */
export async function openBus(options: {
  url: string;
  clock: Clock;
  log: Log;
  unkind?: Unkindness;
  exchangePrefix?: string;
  id?: string;
}): Promise<Bus> {
  const { url, exchangePrefix, id, ...common } = options;
  if (url.startsWith('memory:')) return (await import('./memory.ts')).memoryBus(common);
  if (!/^(rabbit|amqp|kombu|rabbits|amqps):/.test(url))
    throw new Error('transport_url must be memory:// or rabbit://user:password@host:port/vhost');
  const { rabbitmqBus } = await import('./rabbitmq.ts');
  return rabbitmqBus({ url, ...common, ...(exchangePrefix === undefined ? {} : { exchangePrefix }), ...(id === undefined ? {} : { id }) });
}
