import { row } from './errors.ts';

export const badWish = row<{ why: string }>(
  'scheduler.bad_wish',
  'invalid',
  (p) => `No host can be chosen for what flavor and image ask for: ${p.why}.`,
);
export const pluginFailed = row<{ plugin: string; why: string }>(
  'scheduler.plugin_failed',
  'internal',
  (p) => `The scheduler plug-in ${p.plugin} failed: ${p.why}`,
);
