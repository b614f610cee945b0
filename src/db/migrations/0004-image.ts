import type { Migration } from '../migrate.ts';

export const image: Migration = {
  async up() {},
};
