import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { CELL_UUID, type Server } from '../model/server.ts';
import { relayMetadata, type Stop } from '../services/compute-agent/metadata-relay.ts';
import type { ConfigDrive, MetadataRelay } from '../services/compute-agent/parts.ts';
import { metadataFiles } from '../services/metadata/metadata-files.ts';

/** A config drive's files, made of what the build command carries: the agent has no database. */
export const configDriveFiles: ConfigDrive = async (command, networks) => {
  const { guest, instance } = command;
  const server: Server = {
    id: Number.parseInt(guest.name.split('-').at(-1) ?? '0', 16) || 0,
    uuid: guest.uuid,
    reservationId: instance.reservationId,
    projectId: guest.projectId,
    userId: guest.userId,
    name: guest.displayName,
    description: null,
    hostname: instance.hostname,
    vmState: 'building',
    taskState: 'spawning',
    powerState: 0,
    progress: 0,
    host: null,
    node: null,
    launchedOn: null,
    cellUuid: CELL_UUID,
    epoch: guest.epoch,
    flavor: {
      id: 0,
      flavorId: '',
      name: instance.flavorName,
      vcpus: guest.vcpus,
      memoryMiB: guest.memoryMiB,
      rootGiB: guest.rootGiB,
      ephemeralGiB: guest.ephemeralGiB,
      swapMiB: guest.swapMiB,
      rxtxFactor: 1,
      isPublic: true,
      disabled: false,
      description: null,
      extraSpecs: guest.extraSpecs,
    },
    image: null,
    imageId: instance.imageId,
    keyName: instance.keyName,
    keyData: instance.keyData,
    userData: instance.userData,
    configDrive: 'True',
    availabilityZone: instance.availabilityZone,
    accessIpV4: null,
    accessIpV6: null,
    diskConfig: 'MANUAL',
    rootDeviceName: '/dev/vda',
    launchIndex: instance.launchIndex,
    metadata: guest.metadata,
    requestedNetworks: 'none',
    securityGroups: command.networks.securityGroups,
    networkInfo: networks,
    volumes: [],
    schedulerHints: {},
    trustedCerts: null,
    fault: null,
    locked: false,
    lockedReason: null,
    createdAt: 0,
    updatedAt: 0,
    launchedAt: null,
    terminatedAt: null,
    deleted: false,
    deletedAt: null,
    softDeletedAt: null,
    lockedBy: null,
    revision: 0,
  };
  return metadataFiles(server, { adminPass: instance.adminPass, files: instance.injectedFiles });
};

/** Longest path a unix socket may have. */
const SOCKET_PATH = 107;

/** One unix socket a guest, in the agent's state dir, or in a directory of our own when its path is too long for a socket. */
export function metadataRelay(options: { stateDir: string; url: string; secret: string; log: Log; clock: Clock }): MetadataRelay {
  const { stateDir, url, secret, log } = options;
  const open = new Map<string, Stop>();
  const name = (uuid: string) => `${uuid}.sock`;
  const own = join(stateDir, 'metadata');
  const short = join(tmpdir(), `kilonova-${process.getuid?.() ?? 0}-${createHash('sha256').update(stateDir).digest('hex').slice(0, 12)}`);
  const folder = join(own, name('0'.repeat(36))).length <= SOCKET_PATH ? own : short;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const close = async (uuid: string) => {
    const stop = open.get(uuid);
    open.delete(uuid);
    await stop?.();
    rmSync(join(folder, name(uuid)), { force: true });
  };
  return {
    async open(guest, onFirstRequest) {
      await close(guest.uuid);
      const socketPath = join(folder, name(guest.uuid));
      const stop = await relayMetadata({
        socketPath,
        serverUuid: guest.uuid,
        projectId: guest.projectId,
        address: guest.addresses[0] ?? null,
        metadataUrl: url,
        sharedSecret: secret,
        log,
        ...(onFirstRequest ? { onFirstRequest } : {}),
      });
      open.set(guest.uuid, stop);
      return socketPath;
    },
    close,
  };
}
