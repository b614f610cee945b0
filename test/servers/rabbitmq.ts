import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findProgram } from '../requires.ts';
import { endChild, freePort, type PrivateServer, privateServer, serverFolder, startChild } from './private-server.ts';

/** A private RabbitMQ with its own name server (epmd), which Erlang would otherwise leave running for ever. Cold start takes 5 to 7 seconds. */
export async function startRabbitmq(): Promise<PrivateServer> {
  const dir = serverFolder('rabbitmq');
  for (const name of ['mnesia', 'log', 'home', 'conf']) mkdirSync(join(dir, name));
  const [port, distPort, epmdPort] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(join(dir, 'enabled_plugins'), '[].\n');
  writeFileSync(
    join(dir, 'rabbitmq.conf'),
    [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      'loopback_users = none',
      'log.console = false',
      'disk_free_limit.absolute = 50MB',
      'vm_memory_high_watermark.absolute = 512MB',
      'cluster_partition_handling = ignore',
      '',
    ].join('\n'),
  );
  const epmd = startChild([findProgram('epmd') ?? 'epmd', '-port', String(epmdPort), '-address', '127.0.0.1'], join(dir, 'epmd.log'));
  const server = await privateServer({
    name: 'RabbitMQ',
    url: `rabbit://guest:guest@127.0.0.1:${port}/`,
    dir,
    command: ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
    env: {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: join(dir, 'home'), // holds the cookie
      RABBITMQ_NODENAME: `kilonova${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distPort),
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
      RABBITMQ_LOG_BASE: join(dir, 'log'),
      RABBITMQ_LOGS: join(dir, 'log', 'rabbit.log'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'conf'),
      RABBITMQ_PID_FILE: join(dir, 'rabbit.pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -noinput',
      RABBITMQ_ALLOW_INPUT: '1', // lets the script become the broker instead of its parent, so that our signals and our own end reach it
    },
    endSignal: 'SIGTERM',
    startMs: 60_000,
    ready: () => greets(port),
  });
  return {
    ...server,
    async stop() {
      await server.stop();
      await endChild(epmd, 'SIGKILL');
    },
  };
}

/** Whether an AMQP broker answers; the open port alone comes seconds earlier. */
const greets = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('AMQP\x00\x00\x09\x01'));
    const end = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.setTimeout(1000, () => end(false));
  });
