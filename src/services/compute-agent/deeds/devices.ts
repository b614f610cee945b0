import { volumeNotAttached } from '../../../model/errors-block-devices.ts';
import { nicOf } from '../build-guest.ts';
import type { Deed } from './deed.ts';

// Plugging and unplugging. The journal keeps the guest as it is afterwards, so that it starts like this the next time.
const result = {};

export const attachNic: Deed<'attachNic'> = {
  on: 'guest',
  async run({ parts, guest }, { network }) {
    const nic = nicOf(network);
    const whole = { ...guest, nics: [...guest.nics.filter((one) => one.portId !== nic.portId), nic] };
    await parts.driver.attachNic(whole, nic);
    return { result, guest: whole };
  },
};
export const detachNic: Deed<'detachNic'> = {
  on: 'guest',
  async run({ parts, guest }, { portId }) {
    const whole = { ...guest, nics: guest.nics.filter((one) => one.portId !== portId) };
    await parts.driver.detachNic(whole, portId);
    return { result, guest: whole };
  },
};
export const attachVolume: Deed<'attachVolume'> = {
  on: 'guest',
  async run({ parts, guest }, { volume }) {
    const whole = { ...guest, volumes: [...guest.volumes.filter((one) => one.volumeId !== volume.volumeId), volume] };
    await parts.driver.attachVolume(whole, volume);
    return { result, guest: whole };
  },
};
export const detachVolume: Deed<'detachVolume'> = {
  on: 'guest',
  async run({ parts, guest }, { volumeId }) {
    const whole = { ...guest, volumes: guest.volumes.filter((one) => one.volumeId !== volumeId) };
    const leaving = guest.volumes.filter((one) => one.volumeId === volumeId);
    // The last chance to count what was done to it; nobody's detach fails for the sake of a number.
    await parts
      .volumesUsed?.([{ ...guest, volumes: leaving }])
      .catch((cause) => parts.log.warn({ err: cause }, 'a volume could not be counted'));
    await parts.driver.detachVolume(whole, volumeId);
    return { result, guest: whole };
  },
};
export const swapVolume: Deed<'swapVolume'> = {
  on: 'guest',
  async run({ parts, guest }, { oldVolumeId, volume }) {
    // By the journal it may be swapped already, or not yet: the driver is told all the same, since only it knows what a death or a lost reply left.
    const place = guest.volumes.findIndex((one) => one.volumeId === oldVolumeId || one.volumeId === volume.volumeId);
    if (place < 0) throw volumeNotAttached({ server: guest.uuid, volume: oldVolumeId });
    const others = guest.volumes.filter((one) => one.volumeId !== oldVolumeId && one.volumeId !== volume.volumeId);
    const whole = { ...guest, volumes: [...others.slice(0, place), volume, ...others.slice(place)] };
    await parts.driver.swapVolume(whole, oldVolumeId, volume);
    return { result, guest: whole };
  },
};
export const extendVolume: Deed<'extendVolume'> = {
  on: 'guest',
  async run({ parts, guest }, { volumeId, sizeGiB }) {
    const whole = { ...guest, volumes: guest.volumes.map((one) => (one.volumeId === volumeId ? { ...one, sizeGiB } : one)) };
    await parts.driver.extendVolume(whole, volumeId, sizeGiB);
    return { result, guest: whole };
  },
};
