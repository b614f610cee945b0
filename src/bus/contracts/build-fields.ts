import { Type } from '../schema.ts';
import { GuestShape, nullable } from './wire.ts';

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

/** What an agent needs to make a guest, whether it builds or rebuilds it: it has no database to look anything up in. */
export const buildFields = {
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
} as const;
