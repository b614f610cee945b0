import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Bus } from '../bus/bus.ts';
import type { Driver } from '../hypervisors/driver.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { type AgentParts, agentDefaults, type ImagePort } from '../services/compute-agent/parts.ts';
import { startAgent } from '../services/compute-agent/start.ts';
import { configDriveFiles, metadataRelay } from './guest-metadata.ts';
import { cpuMonitor, hostAttributes, monitorsCpu } from './host-reports.ts';
import { openDriver } from './hypervisor.ts';
import type { Neighbours } from './neighbours.ts';
import type { Settings } from './options.ts';
import { agentOptions } from './part-options.ts';

/** Starts one host: its driver, and the agent that owns it. Throws when the state dir is in use or the hypervisor cannot start. */
export async function startHost(options: {
  kind: 'qemu' | 'fake';
  host: string;
  stateDir: string;
  settings: Settings;
  /** Which settings the config file itself gave. */
  given: ReadonlySet<keyof Settings>;
  bus: Bus;
  clock: Clock;
  log: Log;
  neighbours: Neighbours;
  metadata: { url: string; secret: string };
  onFenced?: AgentParts['onFenced'];
  signal?: AbortSignal;
  wrap?: (driver: Driver) => Driver;
}): Promise<{ stop(): Promise<void> }> {
  const { kind, host, stateDir, settings, clock, bus, neighbours } = options;
  const log = options.log.child({ host });
  const own = await openDriver(kind, {
    host,
    stateDir: join(stateDir, kind),
    clock,
    log,
    settings,
    secretOf: (id) => neighbours.volumes.secretOf(id),
  });
  const driver = options.wrap?.(own) ?? own;
  // Under software emulation each build takes a core for itself.
  const concurrency =
    options.given.has('maxConcurrentBuilds') || kind === 'fake' ? (kind === 'fake' ? 0 : settings.maxConcurrentBuilds) : cpus().length;
  const agent = await startAgent({
    driver,
    bus,
    clock,
    log,
    network: neighbours.networks,
    image: imagesOf(neighbours),
    ...(kind === 'qemu'
      ? { relay: metadataRelay({ stateDir, url: options.metadata.url, secret: options.metadata.secret, log, clock }) }
      : {}),
    configDrive: configDriveFiles,
    ...(monitorsCpu(settings.computeMonitors) ? { metrics: cpuMonitor() } : {}),
    options: {
      ...agentDefaults,
      host,
      ...agentOptions(settings),
      stateDir,
      attributes: hostAttributes(settings.hostAttributes),
      concurrency,
      volumeUsageMs: settings.volumeUsageInterval * 1000,
      durable: kind !== 'fake',
    },
    ...(options.onFenced ? { onFenced: options.onFenced } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return agent;
}

/** An agent only asks for images that were active when the server was accepted; facts that are missing since then are a refusal of the image itself. */
const imagesOf = ({ images }: Neighbours): ImagePort => ({
  async show(id) {
    const image = await images.show(id);
    return {
      id,
      diskFormat: image.diskFormat ?? '',
      sizeBytes: image.sizeBytes ?? 0,
      hashAlgo: image.hashAlgo ?? '',
      hashValue: image.hashValue ?? '',
    };
  },
  download: (id) => images.download(id),
  async upload(id, { diskFormat, data }) {
    try {
      await images.change(id, { disk_format: diskFormat, container_format: 'bare' });
    } catch (cause) {
      data.destroy();
      throw cause;
    }
    await images.upload(id, data);
  },
});
