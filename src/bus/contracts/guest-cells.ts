import { type Static, Type } from '../schema.ts';
import { nullable } from './wire.ts';

const cpus = Type.Array(Type.Integer());
/** Memory cells of a guest, and where they stand. Memory in MiB, pages in KiB (null: nobody asked for a size). */
export const GuestCells = Type.Object({
  pageKiB: nullable(Type.Integer()),
  cells: Type.Array(
    Type.Object({
      cpus,
      memoryMiB: Type.Integer(),
      hostCell: Type.Integer(),
      /** [guest CPU, host CPU] of those that have one to themselves. */
      pins: Type.Array(cpus),
      siblings: Type.Array(cpus),
    }),
  ),
});
export type GuestCells = Static<typeof GuestCells>;
