import type { DeedName } from '../../../bus/contracts/guest-deeds.ts';
import type { Deed } from './deed.ts';
import * as devices from './devices.ts';
import * as moves from './moves.ts';
import * as power from './power.ts';
import { rebuild } from './rebuild.ts';
import { snapshot } from './snapshot.ts';

/** Every deed an agent knows. */
export const deeds: { readonly [D in DeedName]: Deed<D> } = {
  powerOn: power.powerOn,
  powerOff: power.powerOff,
  reboot: power.reboot,
  pause: power.pause,
  unpause: power.unpause,
  suspend: power.suspend,
  resume: power.resume,
  crashDump: power.crashDump,
  setPassword: power.setPassword,
  rescue: power.rescue,
  unrescue: power.unrescue,
  attachNic: devices.attachNic,
  detachNic: devices.detachNic,
  attachVolume: devices.attachVolume,
  detachVolume: devices.detachVolume,
  swapVolume: devices.swapVolume,
  extendVolume: devices.extendVolume,
  leaveHost: moves.leaveHost,
  arrive: moves.arrive,
  dropGuest: moves.dropGuest,
  prepareIncoming: moves.prepareIncoming,
  claimIncoming: moves.claimIncoming,
  migrateLive: moves.migrateLive,
  finishIncoming: moves.finishIncoming,
  rebuild,
  snapshot,
};
