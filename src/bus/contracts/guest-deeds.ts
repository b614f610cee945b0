import { type Schema, type Static, Type } from '../schema.ts';
import { buildFields } from './build-fields.ts';
import { ImageRefShape, NetworkInfoItem, nullable, VolumeShape, Words } from './wire.ts';

const deed = <A, R>(args: Schema<A>, result: Schema<R>) => ({ args, result });
const nothing = Type.Object({});
const graceMs = Type.Integer({ minimum: 0 });
/** How one host's driver finds what another's offers: understood by drivers of one type only. */
const Offer = Type.Record(Type.Unknown());
/** A guest as it shall be on the host that is asked, with its ports bound there. */
const arriving = { ...buildFields, ports: Type.Array(NetworkInfoItem) };

/** What an agent can be asked to do to a guest, with the shapes of what it is given and what it answers. Every deed is safe to repeat. */
export const guestDeeds = {
  powerOn: deed(nothing, nothing),
  powerOff: deed(Type.Object({ graceMs }), nothing),
  reboot: deed(Type.Object({ how: Type.Enum('soft', 'hard'), graceMs }), nothing),
  pause: deed(nothing, nothing),
  unpause: deed(nothing, nothing),
  suspend: deed(nothing, nothing),
  resume: deed(nothing, nothing),
  crashDump: deed(nothing, nothing),
  setPassword: deed(Type.Object({ password: Type.String() }), nothing),
  /** `kernelId`, `ramdiskId`: images of a rescue image that is booted directly. */
  rescue: deed(
    Type.Object({
      image: ImageRefShape,
      kernelId: nullable(Type.String()),
      ramdiskId: nullable(Type.String()),
      properties: Words,
      password: nullable(Type.String()),
    }),
    nothing,
  ),
  unrescue: deed(nothing, nothing),
  attachNic: deed(Type.Object({ network: NetworkInfoItem }), nothing),
  detachNic: deed(Type.Object({ portId: Type.String() }), nothing),
  attachVolume: deed(Type.Object({ volume: VolumeShape }), nothing),
  detachVolume: deed(Type.Object({ volumeId: Type.String() }), nothing),
  /** The new volume takes the old one's place, data and all. */
  swapVolume: deed(Type.Object({ oldVolumeId: Type.String(), volume: VolumeShape }), nothing),
  extendVolume: deed(Type.Object({ volumeId: Type.String(), sizeGiB: Type.Integer() }), nothing),
  /** Makes the guest anew where it stands, with fresh disks. `ports`: those it has now, which stay; null: it was never built, and gets those it asked for. */
  rebuild: deed(Type.Object({ ...buildFields, ports: nullable(Type.Array(NetworkInfoItem)), preserveEphemeral: Type.Boolean() }), nothing),
  /** Turns the guest off and offers its disks to another host; they are kept here until `dropGuest`, or until it is made here again. */
  leaveHost: deed(Type.Object({ graceMs }), Type.Object({ offer: Offer })),
  /** Makes a guest of disks: those another host offers, those that stand here (from a move before), or fresh ones of its image (`imageId`: of another one). */
  arrive: deed(
    Type.Object({
      ...arriving,
      disks: Type.Enum('offered', 'here', 'fresh'),
      offer: nullable(Offer),
      imageId: nullable(Type.String()),
      start: Type.Boolean(),
    }),
    nothing,
  ),
  /** Whatever is here of a server: gone, with its disks. Cancels what is being done to it. */
  dropGuest: deed(nothing, nothing),
  /** Gets ready to take a running guest over. */
  prepareIncoming: deed(Type.Object(arriving), Type.Object({ offer: Offer })),
  /** Settles whether a guest that was coming is here, when the host it comes from cannot be asked; 'none': what is not here by now never comes. */
  claimIncoming: deed(nothing, Type.Object({ here: Type.Enum('none', 'whole', 'lost') })),
  /** Sends a running guest to where `prepareIncoming` is ready; what is left here waits for `dropGuest`. */
  migrateLive: deed(Type.Object({ offer: Offer }), nothing),
  /** The guest has come: it goes on as it was. */
  finishIncoming: deed(Type.Object({ paused: Type.Boolean() }), nothing),
  /** Uploads the root disk into an image that exists (queued). */
  snapshot: deed(Type.Object({ imageId: Type.String() }), Type.Object({ sizeBytes: Type.Number() })),
} as const;

export type DeedName = keyof typeof guestDeeds;
export type DeedArgs<D extends DeedName> = Static<(typeof guestDeeds)[D]['args']>;
export type DeedResult<D extends DeedName> = Static<(typeof guestDeeds)[D]['result']>;
export const deedNames = Object.keys(guestDeeds) as [DeedName, ...DeedName[]]; // a literal table is never empty
