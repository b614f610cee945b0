import { type Schema, Type } from '../schema.ts';

// Parts of messages that several contracts share. Times are microseconds UTC.
export const nullable = <T>(schema: Schema<T>) => Type.Union(schema, Type.Null());
export const Uuid = Type.String({ minLength: 32, maxLength: 36 });
export const HostName = Type.String({ minLength: 1, maxLength: 255 });
export const Micros = Type.Number();
export const Words = Type.Record(Type.String());

export const Wire = Type.Object({
  code: Type.String(),
  kind: Type.Enum(
    'invalid',
    'unauthorized',
    'forbidden',
    'notFound',
    'badMethod',
    'notAcceptable',
    'conflict',
    'gone',
    'staleGeneration',
    'tooLarge',
    'unsupportedMedia',
    'tooMany',
    'internal',
    'notImplemented',
    'badGateway',
    'unavailable',
  ),
  message: Type.String(),
  params: Type.Record(Type.Unknown()),
});

export const PowerStateName = Type.Enum('pending', 'running', 'paused', 'shutdown', 'crashed', 'suspended');

export const NetworkInfoItem = Type.Object({
  portId: Type.String(),
  networkId: Type.String(),
  networkName: Type.String(),
  mac: Type.String(),
  mtu: Type.Number(),
  addresses: Type.Array(
    Type.Object({
      address: Type.String(),
      version: Type.Union(Type.Literal(4), Type.Literal(6)),
      type: Type.Enum('fixed', 'floating'),
      cidr: Type.String(),
      gateway: nullable(Type.String()),
    }),
  ),
  nameServers: Type.Array(Type.String()),
  preserve: Type.Boolean(),
  securityGroups: Type.Array(Type.String()),
  tag: nullable(Type.String()),
});

export const AmountsShape = Type.Object({ VCPU: Type.Number(), MEMORY_MB: Type.Number(), DISK_GB: Type.Number() });

export const ImageRefShape = Type.Object({
  id: Type.String(),
  diskFormat: Type.Enum('qcow2', 'raw', 'aki', 'ari'),
  sizeBytes: Type.Number(),
  hashAlgo: Type.String(),
  hashValue: Type.String(),
});
export const VolumeShape = Type.Object({
  volumeId: Type.String(),
  device: Type.String(),
  bus: nullable(Type.String()),
  readOnly: Type.Boolean(),
  bootIndex: nullable(Type.Integer()),
  tag: nullable(Type.String()),
  sizeGiB: Type.Integer(),
  connection: Type.Record(Type.Unknown()),
});
export const LocalDiskShape = Type.Object({
  kind: Type.Enum('ephemeral', 'swap'),
  sizeMiB: Type.Integer(),
  format: nullable(Type.String()),
  device: nullable(Type.String()),
});
/** Where a claim has put a memory cell of a guest: memory in MiB, pages in KiB. */
export const ClaimedCellShape = Type.Object({
  cpus: Type.Array(Type.Integer()),
  memoryMiB: Type.Integer(),
  hostCell: Type.Integer(),
  pageKiB: nullable(Type.Integer()),
  pins: Type.Array(Type.Object({ guest: Type.Integer(), host: Type.Integer() })),
  emulator: Type.Array(Type.Integer()),
});
/** A guest as the driver makes it; network cards, kernel images, config drive and metadata socket are added by the agent. */
export const GuestShape = Type.Object({
  uuid: Uuid,
  name: Type.String(),
  epoch: Type.Integer(),
  projectId: Type.String(),
  userId: Type.String(),
  displayName: Type.String(),
  vcpus: Type.Integer(),
  memoryMiB: Type.Integer(),
  rootGiB: Type.Integer(),
  ephemeralGiB: Type.Integer(),
  swapMiB: Type.Integer(),
  localDisks: nullable(Type.Array(LocalDiskShape)),
  claimedCells: nullable(Type.Array(ClaimedCellShape)),
  image: nullable(ImageRefShape),
  kernelCommandLine: nullable(Type.String()),
  imageProperties: Words,
  extraSpecs: Words,
  metadata: Words,
  volumes: Type.Array(VolumeShape),
});
