import type { BuildCommand } from '../../bus/contracts/compute-agent.ts';
import type { GuestVolume, LocalDisk } from '../../hypervisors/driver.ts';
import type { BuildServerInput, Job } from '../../model/jobs.ts';
import { guestName, type ImageSnapshot, type Server } from '../../model/server.ts';
import type { ClaimedCells } from './claimed-cells.ts';

/** A guest's disks beside its root. `local` null: as its flavor says. */
export interface GuestDisks {
  readonly volumes: readonly GuestVolume[];
  readonly local: readonly LocalDisk[] | null;
}
const NO_DISKS: GuestDisks = { volumes: [], local: null };

/** A job that makes a guest. */
export type Making = Pick<Job, 'uuid' | 'deadline'> & { readonly input: Pick<BuildServerInput, 'adminPass' | 'injectedFiles'> };

/** The command that builds a server on the host it was placed on: all an agent needs, in plain data. */
export function buildCommand(job: Making, server: Server, cells: ClaimedCells, disks: GuestDisks = NO_DISKS): BuildCommand {
  return {
    jobUuid: job.uuid,
    uuid: server.uuid,
    epoch: server.epoch,
    deadline: job.deadline,
    guest: guestOf(server, cells, disks),
    ...instanceOf(server, job.input),
  };
}

/** What a guest is told of itself and its networks. */
export function instanceOf(
  server: Server,
  secrets: Pick<Job<'build-server'>['input'], 'adminPass' | 'injectedFiles'>,
): Pick<BuildCommand, 'networks' | 'configDrive' | 'instance'> {
  const { flavor } = server;
  return {
    networks: {
      requested:
        server.requestedNetworks === 'none' || server.requestedNetworks === 'auto'
          ? server.requestedNetworks
          : [...server.requestedNetworks],
      securityGroups: [...server.securityGroups],
      zone: server.availabilityZone,
      hostname: server.hostname,
    },
    configDrive: server.configDrive !== '' && server.configDrive.toLowerCase() !== 'false',
    instance: {
      hostname: server.hostname,
      launchIndex: server.launchIndex,
      availabilityZone: server.availabilityZone,
      keyName: server.keyName,
      keyData: server.keyData,
      userData: server.userData,
      adminPass: secrets.adminPass,
      injectedFiles: [...secrets.injectedFiles],
      reservationId: server.reservationId,
      flavorName: flavor.name,
      imageId: server.imageId,
    },
  };
}

/** A flavor with the disks it takes of its host: the root of a volume-backed server is no such disk. */
export const ownDisks = ({ flavor, imageId }: Pick<Server, 'flavor' | 'imageId'>): Server['flavor'] =>
  imageId === null ? { ...flavor, rootGiB: 0 } : flavor;

/** The guest a server is to be, under its present epoch, on the `cells` that are claimed for it. */
export function guestOf(server: Server, claimedCells: ClaimedCells, { volumes, local }: GuestDisks = NO_DISKS): BuildCommand['guest'] {
  const { image } = server;
  const flavor = ownDisks(server);
  return {
    uuid: server.uuid,
    name: guestName(server.id),
    epoch: server.epoch,
    projectId: server.projectId,
    userId: server.userId,
    displayName: server.name,
    vcpus: flavor.vcpus,
    memoryMiB: flavor.memoryMiB,
    rootGiB: flavor.rootGiB,
    ephemeralGiB: flavor.ephemeralGiB,
    swapMiB: flavor.swapMiB,
    localDisks: local?.map((disk) => ({ ...disk })) ?? null,
    claimedCells,
    image: server.imageId === null ? null : image && imageRef(image),
    kernelCommandLine: image?.properties.os_command_line ?? null,
    imageProperties: image?.properties ?? {},
    extraSpecs: flavor.extraSpecs,
    metadata: server.metadata,
    volumes: [...volumes],
  };
}

/** Amazon machine images and ISOs are written to disk byte by byte, as raw ones are. */
export const imageRef = (image: ImageSnapshot) => ({
  id: image.id,
  diskFormat: image.diskFormat === 'ami' || image.diskFormat === 'iso' ? ('raw' as const) : image.diskFormat,
  sizeBytes: image.sizeBytes,
  hashAlgo: image.hashAlgo,
  hashValue: image.hashValue,
});
