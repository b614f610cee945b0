import { bootImage } from '../build-guest.ts';
import { fetchTold } from '../byte-progress.ts';
import type { Deed } from './deed.ts';

// Deeds on a guest where it stands that change nothing but whether it runs.
const result = {};

export const powerOn: Deed<'powerOn'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.powerOn(guest);
    return { result, power: 'running' };
  },
};
export const powerOff: Deed<'powerOff'> = {
  on: 'guest',
  async run({ parts, guest }, { graceMs }) {
    await parts.driver.powerOff(guest.uuid, graceMs);
    return { result, power: 'shutdown' };
  },
};
export const reboot: Deed<'reboot'> = {
  on: 'guest',
  async run({ parts, guest }, { how, graceMs }) {
    await parts.driver.reboot(guest, how, graceMs);
    return { result, power: 'running' };
  },
};
export const pause: Deed<'pause'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.pause(guest.uuid);
    return { result, power: 'paused' };
  },
};
export const unpause: Deed<'unpause'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.unpause(guest.uuid);
    return { result, power: 'running' };
  },
};
export const suspend: Deed<'suspend'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.suspend(guest.uuid);
    return { result, power: 'shutdown' };
  },
};
export const resume: Deed<'resume'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.resume(guest);
    return { result, power: 'running' };
  },
};
export const crashDump: Deed<'crashDump'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.crashDump(guest.uuid);
    return { result };
  },
};
export const setPassword: Deed<'setPassword'> = {
  on: 'guest',
  async run({ parts, guest }, { password }) {
    await parts.driver.setPassword(guest.uuid, password);
    return { result };
  },
};
export const rescue: Deed<'rescue'> = {
  on: 'guest',
  async run({ parts, guest, signal, moved }, { image, kernelId, ramdiskId, properties }) {
    const kernel = await bootImage(parts, kernelId);
    const ramdisk = await bootImage(parts, ramdiskId);
    for (const ref of [image, kernel, ramdisk]) if (ref) await fetchTold(parts, ref, signal, moved);
    await parts.driver.rescue(guest, { image, kernel, ramdisk, properties, configDrive: guest.configDrive });
    return { result, power: 'running' };
  },
};
export const unrescue: Deed<'unrescue'> = {
  on: 'guest',
  async run({ parts, guest }) {
    await parts.driver.unrescue(guest);
    return { result, power: 'running' };
  },
};
