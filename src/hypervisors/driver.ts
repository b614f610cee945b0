import type { Readable } from 'node:stream';
import type { ConsoleAddress, ConsoleProtocol } from '../model/consoles.ts';

/** The port every hypervisor implements; `test/contracts/driver.ts` holds its contract suite. A driver knows no cloud: the
 *  compute agent hands it plain data, and it turns guests on and off. Every deed is safe to repeat: `createDisks` twice makes one
 *  set of disks, `destroy` of a guest that is gone is a success. Errors are CloudErrors of `model/errors-hypervisor.ts`. */
export interface Driver {
  /** Nova's hypervisor_type: 'QEMU' (also for KVM-accelerated ones, as in libvirt), 'fake'. */
  readonly type: string;
  /** What this driver can do: asked before an action is sent to it. Names as in Nova's driver capabilities. */
  readonly capabilities: DriverCapabilities;
  /** Gets ready: probes, opens its cache, re-attaches to guests that run on (adoption: journal and live process must agree). */
  start(): Promise<void>;
  /** Lets go of everything but the guests: they run on and are adopted by the next start. */
  close(): Promise<void>;
  /** What the host offers in all, read afresh. */
  inventory(): Promise<HostInventory>;
  /** Brings an image into the cache, checked against its checksum; `open` is called only when it is not there yet.
   *  Throws imageCorrupt, noDiskSpace. */
  fetchImage(image: ImageRef, open: () => Promise<Readable>, signal: AbortSignal): Promise<ImageFetch>;
  /** Looks through the cached images: what no guest stands on may go, by these rules. Safe beside everything else. */
  tidyCache(rules: CacheRules): Promise<CacheReport>;
  /** Makes the guest's disks (overlay over the cached base; plain copy for raw backends, whose `progress` is told in bytes). */
  createDisks(guest: GuestSpec, progress?: (done: number, total: number) => void): Promise<void>;
  /** Starts the guest; its disks exist. Running when it resolves. */
  spawn(guest: GuestSpec): Promise<void>;
  /** Stops the guest at once and forgets it: process, sockets, forwards. Disks stay. */
  destroy(uuid: string): Promise<void>;
  /** Deletes disks and the guest's folder. */
  removeDisks(uuid: string): Promise<void>;
  /** Asks the guest to shut down (ACPI), waits `graceMs`, then turns it off hard. */
  powerOff(uuid: string, graceMs: number): Promise<void>;
  /** Starts a guest that is shut down, from its own record. */
  powerOn(guest: GuestSpec): Promise<void>;
  /** soft: by the guest's own shutdown, hard after `graceMs`; hard: reset of the machine from its record. */
  reboot(guest: GuestSpec, how: 'soft' | 'hard', graceMs: number): Promise<void>;
  /** Stops the guest's CPUs; it stays in memory. Safe twice. */
  pause(uuid: string): Promise<void>;
  unpause(uuid: string): Promise<void>;
  /** Memory to disk, then the guest is off; `resume` goes on where it was. Safe twice. */
  suspend(uuid: string): Promise<void>;
  resume(guest: GuestSpec): Promise<void>;
  /** Sends the guest what makes its kernel write a crash dump (an NMI). */
  crashDump(uuid: string): Promise<void>;
  /** By the guest's own agent. Throws deedUnsupported when the guest has none. */
  setPassword(uuid: string, password: string): Promise<void>;
  /** Starts the guest from a rescue image, its own disks beside it. The image is in the cache. Safe twice. */
  rescue(guest: GuestSpec, rescue: RescueSpec): Promise<void>;
  /** Back to its own disks, running. */
  unrescue(guest: GuestSpec): Promise<void>;
  /** Plug and unplug while it runs; off: with the next start. `guest` is as it shall be afterwards. Safe twice. */
  attachNic(guest: GuestSpec, nic: GuestNic): Promise<void>;
  detachNic(guest: GuestSpec, portId: string): Promise<void>;
  attachVolume(guest: GuestSpec, volume: GuestVolume): Promise<void>;
  detachVolume(guest: GuestSpec, volumeId: string): Promise<void>;
  /** Puts `volume` in the place of another one, with all that stands on that; the guest runs on. Safe twice. When it throws the old one is still there. */
  swapVolume(guest: GuestSpec, oldVolumeId: string, volume: GuestVolume): Promise<void>;
  /** Lets the guest see that its volume has grown. */
  extendVolume(guest: GuestSpec, volumeId: string, sizeGiB: number): Promise<void>;
  /** The root disk as it is now, whole, without its backing image; the guest may run on. `progress` is called now and then, in bytes. */
  snapshot(uuid: string, signal: AbortSignal, progress?: (done: number, total: number) => void): Promise<DiskSnapshot>;
  /** Grows the guest's disks to what `guest` says; it is off. Never shrinks. */
  resizeDisks(guest: GuestSpec): Promise<void>;
  /** Real numbers of a guest, in Nova's words (2.48). Throws guestNotFound. */
  diagnostics(uuid: string): Promise<GuestDiagnostics>;
  /** Makes the disks of a guest that is off ready to be fetched by another host's driver of the same type. Safe twice. */
  offerDisks(uuid: string): Promise<MoveOffer>;
  /** Brings disks another host offers here. Safe twice; `progress` is called now and then. */
  fetchDisks(guest: GuestSpec, offer: MoveOffer, signal: AbortSignal, progress: (moved: MoveProgress) => void): Promise<void>;
  withdrawDisks(uuid: string): Promise<void>;
  /** Gets ready to take a running guest over; answers where it shall be sent. Safe twice. `destroy` + `removeDisks` undo it. */
  prepareIncoming(guest: GuestSpec): Promise<MoveOffer>;
  /** Sends a running guest away; resolves when it runs there and no longer here. When it throws it runs on here; but with guestLostThere it is
   *  the other host's, turned off, and with guestLostHere this one's, turned off. Safe twice: what has gone is not sent again. */
  migrateLive(uuid: string, offer: MoveOffer, signal: AbortSignal, progress: (moved: MoveProgress) => void): Promise<void>;
  /** Settles whose a guest is that was coming here, when the host it comes from cannot be asked: what was not handed over by now never comes. 'whole', 'lost':
   *  it is this host's, the latter without its memory and turned off. Safe twice. */
  claimIncoming(uuid: string): Promise<'none' | 'whole' | 'lost'>;
  /** Lets a live migration end even at the price of a longer pause. */
  forceMigration(uuid: string): Promise<void>;
  /** Every guest this driver knows, also those without a record of ours (`known: false`): they are reported, never killed blindly. */
  guests(): Promise<readonly GuestInfo[]>;
  /** One guest, or undefined when there is none. */
  guest(uuid: string): Promise<GuestInfo | undefined>;
  /** The newest `maxBytes` of the serial console. Throws guestNotFound. */
  consoleOutput(uuid: string, maxBytes: number): Promise<Buffer>;
  /** Where a proxy reaches the guest's console; `host` null stands for this host. Undefined for a guest that is off. Throws guestNotFound.
   *  Only asked for protocols that `capabilities.consoles` has. */
  console(uuid: string, protocol: ConsoleProtocol): Promise<(Omit<ConsoleAddress, 'host'> & { readonly host: string | null }) | undefined>;
  /** Tells of what happens to guests by themselves (power-off from inside, crash). Answers the way to stop listening. */
  onEvent(listener: (event: GuestEvent) => void): () => void;
}

export interface DriverCapabilities {
  readonly consoleLog: boolean;
  readonly vnc: boolean;
  readonly userNetwork: boolean;
  readonly consoles: readonly ConsoleProtocol[];
}

export interface HostInventory {
  /** Logical CPUs, memory in MiB, disk in GiB that guests' files may take in all (not what is free now). */
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
  /** Free on the file system now; Nova's disk_available_least. */
  readonly diskFreeGiB: number;
  /** Nova's hypervisor_version as one integer: 7.2.22 is 7002022. */
  readonly hypervisorVersion: number;
  readonly hypervisorHostname: string;
  /** As Nova shows it: { arch, model, vendor, topology: { cells, sockets, cores, threads }, features: [] }. */
  readonly cpuInfo: CpuInfo;
  /** [arch, hypervisor type, vm mode] triples, as ImagePropertiesFilter compares them: [['x86_64', 'qemu', 'hvm']]. */
  readonly supportedInstances: readonly (readonly [string, string, string])[];
  /** Standard traits (COMPUTE_IMAGE_TYPE_QCOW2, HW_CPU_X86_SSE2, ...). */
  readonly traits: readonly string[];
  /** 'kvm' only after a probe guest proved it, else 'tcg'; 'none' for fake. */
  readonly acceleration: 'kvm' | 'tcg' | 'none';
  /** Memory cells, under the names of Nova's NUMATopology: { cells: [{ id, cpuset, pcpuset, memory, siblings, mempages }] }. */
  readonly numaTopology?: { readonly cells: readonly object[] };
  /** `uptime` command's line, for the hypervisor view. */
  readonly uptime: string | null;
}

export interface CpuInfo {
  readonly arch: string;
  readonly model: string;
  readonly vendor: string;
  readonly topology: { readonly cells: number; readonly sockets: number; readonly cores: number; readonly threads: number };
  readonly features: readonly string[];
}

export interface ImageRef {
  readonly id: string;
  readonly diskFormat: 'qcow2' | 'raw' | 'aki' | 'ari';
  readonly sizeBytes: number;
  /** Hex digest and its algorithm, as the image service computed it at upload. */
  readonly hashAlgo: string;
  readonly hashValue: string;
}

export interface ImageFetch {
  /** Whether the cache had it already. */
  readonly cached: boolean;
  readonly ms: number;
}

export interface CacheRules {
  /** Images unused for so long go. */
  readonly removeUnused: boolean;
  readonly minimumAgeMs: number;
  /** While the images take more, unused ones go too that are younger, the longest unused first; 0: no limit. */
  readonly limitBytes: number;
}
export interface CacheReport {
  /** What is kept, and how much of it guests stand on. */
  readonly images: number;
  readonly bytes: number;
  readonly inUse: number;
  /** Names of what went, and the bytes they had. */
  readonly removed: readonly string[];
  readonly freedBytes: number;
}

/** One network card: what its port says, and nothing the guest may not know. */
export interface GuestNic {
  readonly portId: string;
  readonly networkId: string;
  readonly mac: string;
  readonly mtu: number;
  /** Empty for a port without addresses. */
  readonly addresses: readonly { readonly address: string; readonly cidr: string; readonly gateway: string | null }[];
  readonly nameServers: readonly string[];
}

/** A volume in a guest. What the volume service told to connect it by stands in `connection` and is for the driver alone. */
export interface GuestVolume {
  readonly volumeId: string;
  /** As the guest may call it: '/dev/vdb'. */
  readonly device: string;
  readonly bus: string | null;
  readonly readOnly: boolean;
  /** 0: the guest boots from it; null: not bootable. */
  readonly bootIndex: number | null;
  readonly tag: string | null;
  readonly sizeGiB: number;
  /** { driver_volume_type: 'file', data: { device_path, format } } */
  readonly connection: Readonly<Record<string, unknown>>;
}
/** A blank disk on the host that the server's owner named: several ephemeral ones, or smaller ones than the flavor grants. */
export interface LocalDisk {
  readonly kind: 'ephemeral' | 'swap';
  readonly sizeMiB: number;
  /** File system of an ephemeral one: 'ext4', 'xfs' ...; null: the host's usual. */
  readonly format: string | null;
  /** As the guest may call it: '/dev/vdb'. */
  readonly device: string | null;
}
/** A memory cell of a guest, on the place of a host that is claimed for it. */
export interface ClaimedCell {
  /** Guest CPUs, those without a pin too. */
  readonly cpus: readonly number[];
  readonly memoryMiB: number;
  /** The host's cell. */
  readonly hostCell: number;
  /** Null: nobody asked for a size. */
  readonly pageKiB: number | null;
  readonly pins: readonly { readonly guest: number; readonly host: number }[];
  /** Host CPUs for the emulator's own threads; empty: none of their own. */
  readonly emulator: readonly number[];
}
export interface RescueSpec {
  readonly image: ImageRef;
  readonly kernel: ImageRef | null;
  readonly ramdisk: ImageRef | null;
  /** hw_rescue_device, hw_rescue_bus ... of the rescue image. */
  readonly properties: Readonly<Record<string, string>>;
  readonly configDrive: Readonly<Record<string, string>> | null;
}
export interface DiskSnapshot {
  readonly diskFormat: 'qcow2' | 'raw';
  readonly sizeBytes: number;
  open(): Promise<Readable>;
  /** Takes the copy away. Safe twice. */
  discard(): Promise<void>;
}
/** How one driver finds what another one offers; plain data that crosses the bus, understood by drivers of one type only. */
export type MoveOffer = Readonly<Record<string, unknown>>;
/** Bytes of a move. */
export interface MoveProgress {
  readonly memoryTotal: number;
  readonly memoryProcessed: number;
  readonly memoryRemaining: number;
  readonly diskTotal: number;
  readonly diskProcessed: number;
  readonly diskRemaining: number;
}
/** Null: not known. Times in nanoseconds, memory in MiB, uptime in seconds. */
export interface GuestDiagnostics {
  readonly state: PowerState;
  readonly driver: string;
  readonly hypervisor: string | null;
  readonly hypervisorOs: string | null;
  readonly uptime: number | null;
  readonly configDrive: boolean;
  readonly memoryMaxMiB: number | null;
  readonly memoryUsedMiB: number | null;
  readonly cpus: readonly { readonly id: number; readonly time: number | null; readonly utilisation: number | null }[];
  readonly nics: readonly {
    readonly mac: string;
    readonly rxOctets: number | null;
    readonly rxErrors: number | null;
    readonly rxDrop: number | null;
    readonly rxPackets: number | null;
    readonly rxRate: number | null;
    readonly txOctets: number | null;
    readonly txErrors: number | null;
    readonly txDrop: number | null;
    readonly txPackets: number | null;
    readonly txRate: number | null;
  }[];
  readonly disks: readonly {
    readonly device: string;
    readonly readBytes: number;
    readonly readRequests: number;
    readonly writeBytes: number;
    readonly writeRequests: number;
    readonly errors: number;
  }[];
}

/** All that is needed to make and re-make one guest. Plain data: it crosses the bus and stands in the agent's journal. */
export interface GuestSpec {
  readonly uuid: string;
  /** Nova's instance_name_template: instance-00000001. */
  readonly name: string;
  /** Owner epoch: rises on each move. */
  readonly epoch: number;
  readonly projectId: string;
  readonly userId: string;
  readonly displayName: string;
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** 0: as large as the image. */
  readonly rootGiB: number;
  readonly ephemeralGiB: number;
  readonly swapMiB: number;
  /** Null or absent: one disk of `ephemeralGiB` and one of `swapMiB`, as far as there are any. They are claimed as the flavor says, whatever these say. */
  readonly localDisks?: readonly LocalDisk[] | null;
  /** Where its memory cells shall stand on this host; null or absent: where the driver finds room. */
  readonly claimedCells?: readonly ClaimedCell[] | null;
  /** Null for volume-backed guests. */
  readonly image: ImageRef | null;
  /** With direct kernel boot: kernel_id and ramdisk_id of the image, and the os_command_line. */
  readonly kernel: ImageRef | null;
  readonly ramdisk: ImageRef | null;
  readonly kernelCommandLine: string | null;
  /** hw_* and os_* properties of the image, extra specs of the flavor. */
  readonly imageProperties: Readonly<Record<string, string>>;
  readonly extraSpecs: Readonly<Record<string, string>>;
  readonly nics: readonly GuestNic[];
  readonly volumes: readonly GuestVolume[];
  /** Files of a config drive by path (`openstack/latest/meta_data.json` ...), base64; null: none. */
  readonly configDrive: Readonly<Record<string, string>> | null;
  /** Unix socket on which the agent answers this guest's requests to 169.254.169.254:80; null: no metadata. */
  readonly metadataSocket: string | null;
  /** Tests steer the fake driver by metadata `fake:*`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Nova's power states by name. */
export type PowerState = 'pending' | 'running' | 'paused' | 'shutdown' | 'crashed' | 'suspended';

export interface GuestInfo {
  readonly uuid: string;
  readonly epoch: number;
  readonly power: PowerState;
  /** False: a process without a record of ours. */
  readonly known: boolean;
  /** Loopback ports that lead into the guest, e.g. { guestPort: 22, hostPort: 40123 }. */
  readonly forwards: readonly { readonly guestPort: number; readonly hostAddress: string; readonly hostPort: number }[];
  /** Where a console proxy finds the screen; null when there is none. */
  readonly vncSocket: string | null;
  readonly pid: number | null;
  /** Memory cells of a guest that asked for some. */
  readonly cells?: GuestCells | null;
}
export interface GuestCells {
  /** Null: nobody asked for a size. */
  readonly pageKiB: number | null;
  readonly cells: readonly {
    readonly cpus: readonly number[];
    readonly memoryMiB: number;
    /** The host's cell it stands on. */
    readonly hostCell: number;
    /** Guest CPUs and the host CPUs that are theirs alone. */
    readonly pins: readonly (readonly number[])[];
    /** Guest CPUs that are threads of one core. */
    readonly siblings: readonly (readonly number[])[];
  }[];
}

export type GuestEvent =
  | {
      readonly kind: 'stopped';
      readonly uuid: string;
      readonly reason: 'guest-shutdown' | 'host-request' | 'crashed';
      readonly detail: string;
    }
  | { readonly kind: 'started'; readonly uuid: string };
