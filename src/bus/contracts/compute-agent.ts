import { consoleProtocols } from '../../model/consoles.ts';
import { ask, tell } from '../bus.ts';
import { type Static, Type } from '../schema.ts';
import { buildFields } from './build-fields.ts';
import { GuestCells } from './guest-cells.ts';
import { deedNames } from './guest-deeds.ts';
import { GuestNumbers } from './guest-numbers.ts';
import { HostName, Micros, nullable, PowerStateName, Uuid } from './wire.ts';

/** What every command carries: which job asks, under which owner epoch, and when it is no longer worth doing. */
const command = { jobUuid: Uuid, uuid: Uuid, epoch: Type.Integer(), deadline: Micros };

/** Everything an agent needs to build a guest: it has no database to look anything up in. */
export const BuildCommand = Type.Object({
  ...command,
  ...buildFields,
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
  cells: nullable(GuestCells),
});

/** What may be sent to the agent of one host (`{ host }`). Commands are repeated until their outcome is recorded; they are idempotent by
 *  (job, owner epoch). */
export const computeAgentContract = {
  receiver: 'compute-agent',
  messages: {
    buildServer: tell(BuildCommand),
    destroyServer: tell(DestroyCommand),
    doDeed: tell(DeedCommand),
    /** Images the host shall have before a server needs them; answers when it has them, or cannot. */
    cacheImages: ask(Type.Object({ imageIds: Type.Array(Uuid) }), Type.Object({ cached: Type.Array(Uuid), failed: Type.Array(Uuid) })),
    /** Out of turn, of a deed in hand: to give up (its outcome then says so), or to end whatever it costs. Nothing when it is not in hand. */
    urgeDeed: tell(Type.Object({ jobUuid: Uuid, uuid: Uuid, step: Type.String(), how: Type.Enum('abort', 'force') })),
    /** The newest bytes of a guest's console, base64. Throws guestNotFound. */
    consoleOutput: ask(Type.Object({ uuid: Uuid, maxBytes: Type.Integer({ minimum: 0 }) }), Type.Object({ data: Type.String() })),
    /** Throws guestNotFound, deedUnsupported. */
    diagnostics: ask(Type.Object({ uuid: Uuid }), GuestNumbers),
    /** Where a proxy reaches a guest's console; null for a guest that is off. Throws guestNotFound, consoleNotSupported. */
    console: ask(
      Type.Object({ uuid: Uuid, protocol: Type.Enum(...consoleProtocols) }),
      Type.Object({
        address: nullable(
          Type.Object({
            host: Type.String(),
            port: Type.Integer(),
            tlsPort: nullable(Type.Integer()),
            path: nullable(Type.String()),
            socket: nullable(Type.String()),
          }),
        ),
      }),
    ),
    /** The guest as its hypervisor knows it: power, forwarded ports, screen; null when there is none. */
    showGuest: ask(Type.Object({ uuid: Uuid }), Type.Object({ host: HostName, guest: nullable(GuestInfoShape) })),
  },
} as const;
