import { ask, tell } from '../bus.ts';
import { type Static, Type } from '../schema.ts';
import { deedNames } from './guest-deeds.ts';
import { GuestShape, HostName, Micros, nullable, PowerStateName, Uuid } from './wire.ts';

const RequestedNetworksShape = Type.Union(
  Type.Literal('none'),
  Type.Literal('auto'),
  Type.Array(
    Type.Object({
      networkId: nullable(Type.String()),
      portId: nullable(Type.String()),
      fixedIp: nullable(Type.String()),
      tag: nullable(Type.String()),
    }),
  ),
);

/** What every command carries: which job asks, under which owner epoch, and when it is no longer worth doing. */
const command = { jobUuid: Uuid, uuid: Uuid, epoch: Type.Integer(), deadline: Micros };

/** Everything an agent needs to build a guest: it has no database to look anything up in. */
export const BuildCommand = Type.Object({
  ...command,
  guest: GuestShape,
  networks: Type.Object({
    requested: RequestedNetworksShape,
    securityGroups: Type.Array(Type.String()),
    zone: nullable(Type.String()),
    hostname: Type.String(),
  }),
  configDrive: Type.Boolean(),
  /** What only the guest may know; a config drive is made of it. */
  instance: Type.Object({
    hostname: Type.String(),
    launchIndex: Type.Integer(),
    availabilityZone: nullable(Type.String()),
    keyName: nullable(Type.String()),
    keyData: nullable(Type.String()),
    userData: nullable(Type.String()),
    adminPass: nullable(Type.String()),
    injectedFiles: Type.Array(Type.Object({ path: Type.String(), contents: Type.String() })),
    reservationId: Type.String(),
    flavorName: Type.String(),
    imageId: nullable(Type.String()),
  }),
});
export type BuildCommand = Static<typeof BuildCommand>;

export const DestroyCommand = Type.Object({
  ...command,
  /** Whether the server ends for good: then its ports are given back too. */
  releaseNetwork: Type.Boolean(),
});
export type DestroyCommand = Static<typeof DestroyCommand>;

/** One of `guestDeeds`, for one step of a job. The same step of the same job twice is done once, and answered twice. */
export const DeedCommand = Type.Object({
  ...command,
  step: Type.String(),
  deed: Type.Enum(...deedNames),
  /** Checked against the deed's own shape by the agent. */
  args: Type.Record(Type.Unknown()),
});
export type DeedCommand = Static<typeof DeedCommand>;

const GuestInfoShape = Type.Object({
  uuid: Type.String(),
  epoch: Type.Integer(),
  power: PowerStateName,
  known: Type.Boolean(),
  forwards: Type.Array(Type.Object({ guestPort: Type.Integer(), hostAddress: Type.String(), hostPort: Type.Integer() })),
  vncSocket: nullable(Type.String()),
  pid: nullable(Type.Integer()),
});

/** What may be sent to the agent of one host (`{ host }`). Commands are repeated until their outcome is recorded; they are idempotent by
 *  (job, owner epoch). */
export const computeAgentContract = {
  receiver: 'compute-agent',
  messages: {
    buildServer: tell(BuildCommand),
    destroyServer: tell(DestroyCommand),
    doDeed: tell(DeedCommand),
    /** The newest bytes of a guest's console, base64. Throws guestNotFound. */
    consoleOutput: ask(Type.Object({ uuid: Uuid, maxBytes: Type.Integer({ minimum: 0 }) }), Type.Object({ data: Type.String() })),
    /** The guest as its hypervisor knows it: power, forwarded ports, screen; null when there is none. */
    showGuest: ask(Type.Object({ uuid: Uuid }), Type.Object({ host: HostName, guest: nullable(GuestInfoShape) })),
  },
} as const;
