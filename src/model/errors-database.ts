import { row } from './errors.ts';

export const databaseUnavailable = row<{ why: string }>('database.unavailable', 'unavailable', (p) =>
  p.why === 'commit'
    ? 'The database went away while it saved. Whether the change was kept is not known; look before you try again.'
    : 'The database does not answer. Nothing was changed; try again in a moment.',
);
export const databaseFull = row<{ why: string }>(
  'database.full',
  'unavailable',
  () => 'The database has no room left. Nothing was changed.',
);
