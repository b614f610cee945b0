import { type Static, Type } from '../schema.ts';
import { nullable, PowerStateName } from './wire.ts';

const count = Type.Number();
const maybe = nullable(Type.Number());

/** Numbers of a guest, as its driver knows them. Null: not known. Times in nanoseconds, memory in MiB, uptime in seconds. */
export const GuestNumbers = Type.Object({
  state: PowerStateName,
  driver: Type.String(),
  hypervisor: nullable(Type.String()),
  hypervisorOs: nullable(Type.String()),
  uptime: maybe,
  configDrive: Type.Boolean(),
  memoryMaxMiB: maybe,
  memoryUsedMiB: maybe,
  cpus: Type.Array(Type.Object({ id: Type.Integer(), time: maybe, utilisation: maybe })),
  nics: Type.Array(
    Type.Object({
      mac: Type.String(),
      rxOctets: maybe,
      rxErrors: maybe,
      rxDrop: maybe,
      rxPackets: maybe,
      rxRate: maybe,
      txOctets: maybe,
      txErrors: maybe,
      txDrop: maybe,
      txPackets: maybe,
      txRate: maybe,
    }),
  ),
  disks: Type.Array(
    Type.Object({
      device: Type.String(),
      readBytes: count,
      readRequests: count,
      writeBytes: count,
      writeRequests: count,
      errors: count,
    }),
  ),
});
export type GuestNumbers = Static<typeof GuestNumbers>;
