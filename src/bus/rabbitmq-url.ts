import type { ConnectionOptions } from 'rabbitmq-client';

/** Reads a transport_url as oslo.messaging writes it: `rabbit://user:password@host:port[,user:password@host2:port2]/vhost[?ssl=1]`. All nodes of a
 *  cluster share the first one's user. A missing port is 5672, with TLS 5671; a missing vhost is `/`. Throws a plain Error that names the fault.
 *  Spec: oslo.messaging, "Transport URL". */
export function rabbitmqUrl(text: string): Pick<ConnectionOptions, 'hosts' | 'username' | 'password' | 'vhost' | 'tls'> {
  const parts = /^(rabbit|amqp|kombu|rabbits|amqps):\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  if (!parts) throw new Error('transport_url must look like rabbit://user:password@host:5672/vhost');
  const [, scheme = '', nodes = '', vhost = '', query = ''] = parts;
  const words = new URLSearchParams(query);
  const tls = scheme.endsWith('s') || ['1', 'true', 'yes'].includes((words.get('ssl') ?? '').toLowerCase());
  let username: string | undefined;
  let password: string | undefined;
  const hosts = nodes.split(',').map((node) => {
    const at = node.lastIndexOf('@');
    if (at >= 0 && username === undefined) {
      const [user = '', ...rest] = node.slice(0, at).split(':');
      username = decodeURIComponent(user);
      password = decodeURIComponent(rest.join(':'));
    }
    const host = node.slice(at + 1) || 'localhost';
    if (!/^(\[[0-9a-f:.]+\]|[^:[\]]+)(:\d+)?$/i.test(host)) throw new Error(`transport_url holds a node that is no host:port: ${host}`);
    if (host.startsWith('['))
      throw new Error(`transport_url: name the node ${host} by a host name; the AMQP client takes no IPv6 literals`);
    return /:\d+$/.test(host) ? host : `${host}:${tls ? 5671 : 5672}`;
  });
  return {
    hosts,
    username: username ?? 'guest',
    password: password ?? 'guest',
    vhost: decodeURIComponent(vhost) || '/',
    ...(tls ? { tls: true } : {}),
  };
}
