import type { BuildCommand } from '../../bus/contracts/compute-agent.ts';
import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { GuestNic, GuestSpec, ImageRef, MoveProgress } from '../../hypervisors/driver.ts';
import { imageUnusable } from '../../model/errors-hypervisor.ts';
import { amountsOf } from '../../model/resources.ts';
import type { NetworkInfo } from '../../model/server.ts';
import { byteProgress, fetchTold } from './byte-progress.ts';
import type { AgentParts } from './parts.ts';

type Phase = AgentReport['phases'][number];
/** A guest in the making; steps add what they found. */
interface Build {
  readonly parts: AgentParts;
  readonly command: BuildCommand;
  readonly signal: AbortSignal;
  /** Tells of something that happens once the guest runs. */
  readonly noted: (event: string) => void;
  /** Tells how far a long part is. */
  readonly moved: (bytes: MoveProgress) => void;
  /** Of a guest that had been built: its ports as they are; null: it gets what it asks for. */
  readonly ports: readonly NetworkInfo[] | null;
  networks: readonly NetworkInfo[];
  guest: GuestSpec;
}
interface BuildStep {
  readonly name: string;
  /** Null: the one in which the conductor placed the server, so there is nothing new to tell. */
  readonly taskState: string | null;
  /** Safe to run twice; answers what a timeline should say of it. */
  do(build: Build): Promise<string | null>;
  /** Safe to run twice, and when `do` never ran. */
  undo?(build: Build): Promise<void>;
}

/** The agent's part of a build, in order. */
const steps: readonly BuildStep[] = [
  {
    name: 'network',
    taskState: null,
    async do(build) {
      const { command, parts } = build;
      const { guest, networks } = command;
      if (build.ports !== null) {
        build.networks = build.ports;
        build.guest = { ...build.guest, nics: build.networks.map(nicOf) };
        return null;
      }
      if (networks.requested === 'none') return null;
      build.networks = await parts.network.allocate({
        serverUuid: guest.uuid,
        projectId: guest.projectId,
        host: parts.options.host,
        requested: networks.requested,
        securityGroups: networks.securityGroups,
        zone: networks.zone,
        hostname: networks.hostname,
      });
      build.guest = { ...build.guest, nics: build.networks.map(nicOf) };
      return null;
    },
    // No undo: ports are the server's and not this host's. The conductor gives them back when the server ends, not when it moves on to another host.
  },
  {
    name: 'image',
    taskState: 'block_device_mapping',
    async do(build) {
      const { guest, parts, signal } = build;
      if (!guest.image) return null;
      const fetches: ImageRef[] = [guest.image];
      const kernel = await bootImage(parts, guest.imageProperties.kernel_id);
      const ramdisk = await bootImage(parts, guest.imageProperties.ramdisk_id);
      if (kernel) fetches.push(kernel);
      if (ramdisk) fetches.push(ramdisk);
      build.guest = { ...build.guest, kernel, ramdisk };
      let cached = true;
      for (const ref of fetches) {
        const fetched = await fetchTold(parts, ref, signal, build.moved);
        cached &&= fetched.cached;
      }
      return cached ? 'cached' : 'fetched';
    },
    // No undo: the cache is the host's, and the next guest may want it.
  },
  {
    name: 'disk',
    taskState: 'block_device_mapping',
    async do(build) {
      const { command, parts, networks } = build;
      if (command.configDrive && parts.configDrive)
        build.guest = { ...build.guest, configDrive: await parts.configDrive(command, networks) };
      await parts.driver.createDisks(build.guest, byteProgress(parts.clock, build.moved));
      return null;
    },
    undo: ({ parts, guest }) => parts.driver.removeDisks(guest.uuid),
  },
  {
    name: 'relay',
    taskState: 'spawning',
    async do(build) {
      const { parts, guest, noted } = build;
      if (!parts.relay) return null;
      build.guest = { ...guest, metadataSocket: await parts.relay.open(relayGuest(guest), () => noted('metadata')) };
      return null;
    },
    undo: async ({ parts, guest }) => parts.relay?.close(guest.uuid),
  },
  {
    name: 'spawn',
    taskState: 'spawning',
    async do({ parts, guest }) {
      await parts.driver.spawn(guest);
      const { forwards = [] } = (await parts.driver.guest(guest.uuid)) ?? {};
      const ssh = forwards.find((forward) => forward.guestPort === 22);
      return ssh ? `ssh ${ssh.hostAddress}:${ssh.hostPort}` : null;
    },
    undo: ({ parts, guest }) => parts.driver.destroy(guest.uuid),
  },
];

export const relayGuest = (guest: GuestSpec) => ({
  uuid: guest.uuid,
  projectId: guest.projectId,
  addresses: guest.nics.flatMap((nic) => nic.addresses.map((one) => one.address)),
});

export interface Built {
  readonly guest: GuestSpec;
  readonly networks: readonly NetworkInfo[];
  readonly phases: Phase[];
}

/** Makes a guest, step by step; `told` hears the task state of a step that takes its time, `noted` what happens when the guest runs. Throws what a step threw, with `phases` as far as it came:
 *  the caller undoes. */
export async function buildGuest(
  parts: AgentParts,
  command: BuildCommand,
  signal: AbortSignal,
  phases: Phase[],
  told: (taskState: string) => void,
  noted: (event: string) => void,
  moved: (bytes: MoveProgress) => void,
  ports: readonly NetworkInfo[] | null = null,
): Promise<Built> {
  const build: Build = { parts, command, signal, noted, moved, ports, networks: [], guest: plainGuest(command) };
  for (const step of steps) {
    signal.throwIfAborted();
    const startedAt = parts.clock.now();
    const { taskState } = step;
    const cancel = taskState === null ? () => {} : parts.clock.after(parts.options.progressMs, () => told(taskState));
    try {
      parts.onStep?.(step.name, 'before');
      const details = await step.do(build);
      parts.onStep?.(step.name, 'after');
      phases.push({ name: step.name, startedAt, finishedAt: parts.clock.now(), details });
    } finally {
      cancel();
    }
  }
  signal.throwIfAborted();
  return { guest: build.guest, networks: build.networks, phases };
}

/** Takes back whatever a build may have begun, backwards; goes on past what fails and throws the first failure at the end. */
export async function undoGuest(parts: AgentParts, command: BuildCommand): Promise<void> {
  const build: Build = {
    parts,
    command,
    signal: AbortSignal.abort(),
    noted: () => {},
    moved: () => {},
    ports: null,
    networks: [],
    guest: plainGuest(command),
  };
  let first: unknown;
  for (const step of [...steps].reverse()) {
    try {
      await step.undo?.(build);
    } catch (cause) {
      first ??= cause;
    }
  }
  if (first) throw first;
}

export const commandAmounts = (command: BuildCommand) => amountsOf(command.guest);

/** A guest without what only its host can add. */
export const plainGuest = (command: BuildCommand): GuestSpec => ({
  ...command.guest,
  kernel: null,
  ramdisk: null,
  nics: [],
  configDrive: null,
  metadataSocket: null,
});

/** A kernel or ramdisk that is booted directly, as the image service knows it; null without an id. Throws imageUnusable. */
export async function bootImage(parts: Pick<AgentParts, 'image'>, id: string | null | undefined): Promise<ImageRef | null> {
  if (id === undefined || id === null || id === '') return null;
  const found = await parts.image.show(id);
  const { sizeBytes, hashAlgo, hashValue } = found;
  if (sizeBytes === null || hashAlgo === null || hashValue === null) throw imageUnusable({ id, why: 'it has no data' });
  const diskFormat = found.diskFormat === 'ari' ? 'ari' : found.diskFormat === 'aki' ? 'aki' : 'raw';
  return { id, diskFormat, sizeBytes, hashAlgo, hashValue };
}

/** A port as its guest gets it. */
export const nicOf = (info: NetworkInfo): GuestNic => ({
  portId: info.portId,
  networkId: info.networkId,
  mac: info.mac,
  mtu: info.mtu,
  addresses: info.addresses.filter((one) => one.type === 'fixed').map(({ address, cidr, gateway }) => ({ address, cidr, gateway })),
  nameServers: info.nameServers,
});

/** What is known of a port as it crosses the bus, which wants arrays of its own. */
export const plainNetwork = (info: NetworkInfo) => ({
  ...info,
  addresses: info.addresses.map((one) => ({ ...one })),
  nameServers: [...info.nameServers],
  securityGroups: [...info.securityGroups],
});
