import type { RouteTable } from '../../http/call.ts';
import * as acts from './guest-acts.ts';
import { showDiagnostics } from './server-diagnostics.ts';
import { createBackup, createServerImage } from './server-images.ts';
import { injectNetworkInfo, lockServer, resetState, unlockServer } from './server-locks.ts';
import type { ServerParts } from './server-parts.ts';
import { rebuildServer } from './server-rebuild.ts';
import { attachShare, detachShare, listShares, showShare } from './server-shares.ts';
import { showTopology } from './server-topology.ts';
import { restoreServer } from './servers.ts';
import * as bodies from './shapes/server-acts.ts';
import { noQuery } from './shapes/server-common.ts';
import { closedQuery, shareCreate } from './shapes/shares.ts';

const onServer = (rule: string) => ({ policy: `os_compute_api:${rule}`, policyOn: 'object' }) as const;

/** Actions on a server that stays on its host, and what can be asked about its guest: a part of the compute API's table of contents. */
export const actRoutes: RouteTable<ServerParts> = {
  'POST /servers/:id/action#pause': { run: acts.pauseServer, body: bodies.pause, ...onServer('os-pause-server:pause') },
  'POST /servers/:id/action#unpause': { run: acts.unpauseServer, body: bodies.unpause, ...onServer('os-pause-server:unpause') },
  'POST /servers/:id/action#suspend': { run: acts.suspendServer, body: bodies.suspend, ...onServer('os-suspend-server:suspend') },
  'POST /servers/:id/action#resume': { run: acts.resumeServer, body: bodies.resume, ...onServer('os-suspend-server:resume') },
  'POST /servers/:id/action#rescue': { run: acts.rescueServer, body: bodies.rescue, ...onServer('os-rescue') },
  'POST /servers/:id/action#unrescue': { run: acts.unrescueServer, body: bodies.unrescue, ...onServer('os-unrescue') },
  'POST /servers/:id/action#trigger_crash_dump': {
    run: acts.triggerCrashDump,
    body: bodies.triggerCrashDump,
    since: '2.17',
    ...onServer('servers:trigger_crash_dump'),
  },
  'POST /servers/:id/action#changePassword': { run: acts.changePassword, body: bodies.changePassword, ...onServer('os-admin-password') },
  'POST /servers/:id/action#lock': { run: lockServer, body: bodies.lock, ...onServer('os-lock-server:lock') },
  'POST /servers/:id/action#unlock': { run: unlockServer, body: bodies.unlock, ...onServer('os-lock-server:unlock') },
  'POST /servers/:id/action#os-resetState': { run: resetState, body: bodies.resetState, ...onServer('os-admin-actions:reset_state') },
  'POST /servers/:id/action#injectNetworkInfo': {
    run: injectNetworkInfo,
    body: bodies.injectNetworkInfo,
    ...onServer('os-admin-actions:inject_network_info'),
  },
  'POST /servers/:id/action#createImage': { run: createServerImage, body: bodies.createImage, ...onServer('servers:create_image') },
  'POST /servers/:id/action#createBackup': { run: createBackup, body: bodies.createBackup, ...onServer('os-create-backup') },
  'POST /servers/:id/action#rebuild': { run: rebuildServer, body: bodies.rebuild, ...onServer('servers:rebuild') },
  'POST /servers/:id/action#restore': { run: restoreServer, body: bodies.restore, ...onServer('os-deferred-delete:restore') },

  'GET /servers/:id/diagnostics': { run: showDiagnostics, query: noQuery, ...onServer('os-server-diagnostics') },
  'GET /servers/:id/topology': {
    run: showTopology,
    query: noQuery,
    since: '2.78',
    policy: 'compute:server:topology:index',
    policyOn: 'object',
  },
  'GET /servers/:id/shares': { run: listShares, query: closedQuery, since: '2.97', ...onServer('os-server-shares:index') },
  'POST /servers/:id/shares': { run: attachShare, body: shareCreate, since: '2.97', ...onServer('os-server-shares:create') },
  'GET /servers/:id/shares/:shareId': { run: showShare, query: closedQuery, since: '2.97', ...onServer('os-server-shares:show') },
  'DELETE /servers/:id/shares/:shareId': { run: detachShare, since: '2.97', ...onServer('os-server-shares:delete') },
};
