import { Readable } from 'node:stream';
import type { Bus } from '../bus/bus.ts';
import { computeAgentContract } from '../bus/contracts/compute-agent.ts';
import { conductorContract } from '../bus/contracts/conductor.ts';
import { type ImageClient, snapshotOf } from '../clients/image.ts';
import type { ConsoleAddress, ConsoleProtocol } from '../model/consoles.ts';
import { CloudError } from '../model/errors.ts';
import { serverNotFound, serverNotReady } from '../model/errors-compute.ts';
import { consoleTypeUnavailable } from '../model/errors-misc-api.ts';
import type { Server } from '../model/server.ts';
import type { AgentPort } from '../services/compute-api/admin-parts.ts';
import type { ConsoleSettings, ImageProxy } from '../services/compute-api/misc-parts.ts';
import type { Asker, ImagePort } from '../services/compute-api/server-parts.ts';
import type { Settings } from './options.ts';

/** The image service as the compute API asks it: with the user's own token, so that others' private images are not there. */
export const imagePort = (images: ImageClient, location: ImagePort['location']): ImagePort => ({
  async show(id, asker) {
    try {
      const image = await images.show(id, asker.token === null ? {} : { token: asker.token });
      if (image.status !== 'active' || image.diskFormat === null) return { ...emptySnapshot(id, image.name ?? ''), status: image.status };
      return { ...snapshotOf(image), status: image.status };
    } catch (cause) {
      if (cause instanceof CloudError && cause.kind === 'notFound') return undefined;
      throw cause;
    }
  },
  async create(wish, asker) {
    const { id } = await images.create(wish, asker.token === null ? {} : { token: asker.token });
    return id;
  },
  remove: (id) => images.remove(id),
  location,
});

/** The image service as conductors ask it, as our service user. */
export const conductorImages = (images: ImageClient) => ({
  remove: (id: string) => images.remove(id),
  async settle(id: string, words: Readonly<Record<string, string>>) {
    if ((await images.show(id)).status === 'active') return;
    await images.change(id, { disk_format: 'raw', container_format: 'bare', ...words });
    await images.upload(id, Readable.from([]));
  },
  backups: (serverUuid: string, type: string) =>
    images.list({ image_type: 'backup', backup_type: type, instance_uuid: serverUuid, status: 'active' }),
});

/** The image service as old clients reach it through the compute API: with their own token. */
export function imageProxy(images: ImageClient, publicUrl: (origin: string) => string): ImageProxy {
  const as = ({ token }: Asker) => (token === null ? {} : { token });
  return {
    list: (words, page, asker) => images.page(words, page, as(asker)),
    show: (id, asker) => images.show(id, as(asker)),
    async remove(id, asker) {
      await images.show(id, as(asker)); // the client takes one that is gone for removed
      await images.remove(id, as(asker));
    },
    change: (id, set, away, asker) => images.setProperties(id, set, away, as(asker)),
    publicUrl,
  };
}

const emptySnapshot = (id: string, name: string) => ({
  id,
  name,
  diskFormat: 'raw' as const,
  containerFormat: 'bare',
  sizeBytes: 0,
  hashAlgo: '',
  hashValue: '',
  minDiskGiB: 0,
  minMemoryMiB: 0,
  properties: {},
});

/** Agents as the compute API reaches them. */
export const agentPort = (bus: Bus): AgentPort => ({
  cacheImages: (aggregateId, imageIds) => bus.tell(conductorContract, 'cacheImages', { aggregateId, imageIds: [...imageIds] }),
});

/** Bytes of a console that are asked for at most. */
const CONSOLE_BYTES = 256 * 1024;

/** A server's console, asked of its agent. Throws conflict when the server has no host or the host does not answer. */
export const consolePort =
  (bus: Bus) =>
  async (server: Server, lines: number | null): Promise<string> => {
    const { data } = await onHost(server, (host) =>
      bus.ask(computeAgentContract, 'consoleOutput', { uuid: server.uuid, maxBytes: CONSOLE_BYTES }, { host, timeoutMs: 10_000 }),
    );
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (lines === null) return text;
    if (lines === 0) return '';
    const all = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
    return all.slice(-lines).join('\n'); // no line feed behind the last: clients count the pieces between line feeds
  };

/** Numbers of a server's guest, asked of its agent. Throws conflict when the server has no host or the host does not answer, deedUnsupported. */
export const diagnosticsPort = (bus: Bus) => (server: Server) =>
  onHost(server, (host) => bus.ask(computeAgentContract, 'diagnostics', { uuid: server.uuid }, { host, timeoutMs: 10_000 }));

/** Where a server's memory cells stand, asked of its agent. Throws conflict. */
export const guestCellsPort = (bus: Bus) => async (server: Server) => {
  const { guest } = await onHost(server, (host) =>
    bus.ask(computeAgentContract, 'showGuest', { uuid: server.uuid }, { host, timeoutMs: 5000 }),
  );
  return guest?.cells ?? null;
};

/** Asks the host a server is on. Throws conflict when there is none, or it does not answer or know the guest. */
async function onHost<T>(server: Server, ask: (host: string) => Promise<T>): Promise<T> {
  if (!server.host) throw serverNotReady({ id: server.uuid });
  try {
    return await ask(server.host);
  } catch (cause) {
    if (cause instanceof CloudError && (cause.kind === 'notFound' || cause.kind === 'unavailable'))
      throw serverNotReady({ id: server.uuid }, { cause });
    throw cause;
  }
}

/** Where a server's console is, asked of its agent. Throws what ServerParts' consoleAddress promises. */
export const consoleAddressPort =
  (bus: Bus) =>
  async (server: Server, protocol: ConsoleProtocol): Promise<ConsoleAddress> => {
    if (!server.host) throw serverNotReady({ id: server.uuid });
    let address: ConsoleAddress | null;
    try {
      const ask = { uuid: server.uuid, protocol };
      ({ address } = await bus.ask(computeAgentContract, 'console', ask, { host: server.host, timeoutMs: 10_000 }));
    } catch (cause) {
      const kind = cause instanceof CloudError ? cause.kind : undefined;
      if (kind === 'unavailable' || (kind === 'notFound' && server.vmState === 'building'))
        throw serverNotReady({ id: server.uuid }, { cause });
      if (kind === 'notFound') throw serverNotFound({ id: server.uuid }, { cause });
      throw cause;
    }
    if (!address) throw consoleTypeUnavailable({ type: protocol });
    return address;
  };

export const consoleSettings = (settings: Settings): ConsoleSettings => ({
  enabled: { vnc: settings.vncEnabled, spice: settings.spiceEnabled, serial: settings.serialEnabled, mks: settings.mksEnabled },
  urls: {
    novnc: settings.vncUrl,
    'spice-html5': settings.spiceUrl,
    'spice-direct': settings.spiceDirectUrl,
    serial: settings.serialUrl,
    webmks: settings.mksUrl,
  },
  tokenTtlSeconds: settings.consoleTokenTtl,
});
