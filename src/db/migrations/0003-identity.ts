import type { Migration } from '../migrate.ts';

export const identity: Migration = {
  async up() {},
};
