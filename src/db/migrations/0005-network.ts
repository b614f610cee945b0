import type { Migration } from '../migrate.ts';

export const network: Migration = {
  async up() {},
};
