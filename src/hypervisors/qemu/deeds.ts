import { deedUnsupported } from '../../model/errors-hypervisor.ts';

/** What this driver does not do yet: each is refused before anything changes. */
const refuse = (deed: string) => async (): Promise<never> => {
  throw deedUnsupported({ deed, why: 'the QEMU driver has no such command' });
};
export const refusedDeeds = {
  suspend: refuse('suspend'),
  resume: refuse('resume'),
  setPassword: refuse('change the password'),
  rescue: refuse('rescue'),
  unrescue: refuse('unrescue'),
  attachNic: refuse('plug in a network card'),
  detachNic: refuse('unplug a network card'),
  attachVolume: refuse('plug in a volume'),
  detachVolume: refuse('unplug a volume'),
  swapVolume: refuse('swap a volume'),
  extendVolume: refuse('extend a volume'),
  snapshot: refuse('snapshot'),
  resizeDisks: refuse('resize'),
  offerDisks: refuse('move'),
  fetchDisks: refuse('move'),
  withdrawDisks: refuse('move'),
  prepareIncoming: refuse('migrate live'),
  migrateLive: refuse('migrate live'),
  forceMigration: refuse('migrate live'),
  pause: refuse('pause'),
  unpause: refuse('unpause'),
  crashDump: refuse('crash dump'),
  diagnostics: refuse('diagnostics'),
};
