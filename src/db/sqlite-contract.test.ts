import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineContract } from '../../test/contracts/engine.ts';

engineContract('sqlite', false, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-db-'));
  return {
    url: `sqlite:///${join(dir, 'cloud.db').slice(1)}`,
    freshUrl: async () => `sqlite:///${join(dir, 'fresh.db').slice(1)}`,
    stop: async () => rmSync(dir, { recursive: true }),
  };
});
