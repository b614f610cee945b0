import type { RouteTable } from '../../http/call.ts';
import { evacuateServer, liveMigrateServer } from './server-migrate.ts';
import {
  abortMigration,
  forceCompleteMigration,
  listAllMigrations,
  listServerMigrations,
  showServerMigration,
} from './server-migrations.ts';
import type { ServerParts } from './server-parts.ts';
import { confirmResize, migrateServer, resizeServer, revertResize } from './server-resize.ts';
import { shelveOffload, shelveServer, unshelveServer } from './server-shelve.ts';
import { noQuery } from './shapes/server-common.ts';
import * as bodies from './shapes/server-moves.ts';

const onServer = (rule: string) => ({ policy: `os_compute_api:${rule}`, policyOn: 'object' }) as const;

/** What moves servers from host to host, and what can be asked of moves: a part of the compute API's table of contents. */
export const moveRoutes: RouteTable<ServerParts> = {
  'POST /servers/:id/action#resize': { run: resizeServer, body: bodies.resize, ...onServer('servers:resize') },
  'POST /servers/:id/action#confirmResize': { run: confirmResize, body: bodies.confirmResize, ...onServer('servers:confirm_resize') },
  'POST /servers/:id/action#revertResize': { run: revertResize, body: bodies.revertResize, ...onServer('servers:revert_resize') },
  'POST /servers/:id/action#migrate': { run: migrateServer, body: bodies.migrate, ...onServer('os-migrate-server:migrate') },
  'POST /servers/:id/action#os-migrateLive': {
    run: liveMigrateServer,
    body: bodies.liveMigrate,
    ...onServer('os-migrate-server:migrate_live'),
  },
  'POST /servers/:id/action#evacuate': { run: evacuateServer, body: bodies.evacuate, ...onServer('os-evacuate') },
  'POST /servers/:id/action#shelve': { run: shelveServer, body: bodies.shelve, ...onServer('os-shelve:shelve') },
  'POST /servers/:id/action#shelveOffload': { run: shelveOffload, body: bodies.shelveOffload, ...onServer('os-shelve:shelve_offload') },
  'POST /servers/:id/action#unshelve': { run: unshelveServer, body: bodies.unshelve, ...onServer('os-shelve:unshelve') },

  'GET /os-migrations': { run: listAllMigrations, query: bodies.migrationListQuery, policy: 'os_compute_api:os-migrations:index' },
  'GET /servers/:id/migrations': { run: listServerMigrations, query: noQuery, since: '2.23', ...onServer('servers:migrations:index') },
  'GET /servers/:id/migrations/:migrationId': {
    run: showServerMigration,
    query: noQuery,
    since: '2.23',
    ...onServer('servers:migrations:show'),
  },
  'DELETE /servers/:id/migrations/:migrationId': { run: abortMigration, since: '2.24', ...onServer('servers:migrations:delete') },
  'POST /servers/:id/migrations/:migrationId/action#force_complete': {
    run: forceCompleteMigration,
    body: bodies.forceComplete,
    since: '2.22',
    ...onServer('servers:migrations:force_complete'),
  },
};
