import type { RouteTable } from '../../http/call.ts';
import { getConsoleOutput } from './console-output.ts';
import { listServerActions, showServerAction } from './instance-actions.ts';
import { rebootServer, startServer, stopServer } from './server-actions.ts';
import { followServers } from './server-changes.ts';
import { createServer } from './server-create.ts';
import { listAddresses, showAddresses } from './server-ips.ts';
import { listServerDetails, listServers } from './server-list.ts';
import { addMetadata, deleteMetadataItem, listMetadata, replaceMetadata, setMetadataItem, showMetadataItem } from './server-metadata.ts';
import type { ServerParts } from './server-parts.ts';
import { deleteServer, forceDelete, showServer, updateServer } from './servers.ts';
import { actionListQuery } from './shapes/instance-actions.ts';
import * as bodies from './shapes/server-bodies.ts';
import { noQuery } from './shapes/server-common.ts';
import { serverCreate } from './shapes/server-create.ts';
import { serverListQuery } from './shapes/server-list.ts';

const onServer = (rule: string) => ({ policy: `os_compute_api:${rule}`, policyOn: 'object' }) as const;

/** Servers and what hangs on them: a part of the compute API's table of contents. */
export const serverRoutes: RouteTable<ServerParts> = {
  'GET /servers': { run: listServers, query: serverListQuery, policy: 'os_compute_api:servers:index' },
  'POST /servers': { run: createServer, body: serverCreate, policy: 'os_compute_api:servers:create' },
  'GET /servers/detail': { run: listServerDetails, query: serverListQuery, policy: 'os_compute_api:servers:detail' },
  'GET /servers/changes': { run: followServers, policy: 'os_compute_api:servers:index' },
  'GET /servers/:id': { run: showServer, query: noQuery, ...onServer('servers:show') },
  'PUT /servers/:id': { run: updateServer, body: bodies.serverUpdate, ...onServer('servers:update') },
  'DELETE /servers/:id': { run: deleteServer, ...onServer('servers:delete') },

  'POST /servers/:id/action#os-start': { run: startServer, body: bodies.startServer, ...onServer('servers:start') },
  'POST /servers/:id/action#os-stop': { run: stopServer, body: bodies.stopServer, ...onServer('servers:stop') },
  'POST /servers/:id/action#reboot': { run: rebootServer, body: bodies.rebootServer, ...onServer('servers:reboot') },
  'POST /servers/:id/action#forceDelete': { run: forceDelete, body: bodies.forceDeleteServer, ...onServer('os-deferred-delete:force') },
  'POST /servers/:id/action#os-getConsoleOutput': { run: getConsoleOutput, body: bodies.consoleOutput, ...onServer('os-console-output') },

  'GET /servers/:id/metadata': { run: listMetadata, query: noQuery, ...onServer('server-metadata:index') },
  'POST /servers/:id/metadata': { run: addMetadata, body: bodies.serverMetadata, ...onServer('server-metadata:create') },
  'PUT /servers/:id/metadata': { run: replaceMetadata, body: bodies.serverMetadata, ...onServer('server-metadata:update_all') },
  'GET /servers/:id/metadata/:key': { run: showMetadataItem, query: noQuery, ...onServer('server-metadata:show') },
  'PUT /servers/:id/metadata/:key': { run: setMetadataItem, body: bodies.serverMetadataItem, ...onServer('server-metadata:update') },
  'DELETE /servers/:id/metadata/:key': { run: deleteMetadataItem, ...onServer('server-metadata:delete') },

  'GET /servers/:id/ips': { run: listAddresses, query: noQuery, ...onServer('ips:index') },
  'GET /servers/:id/ips/:label': { run: showAddresses, query: noQuery, ...onServer('ips:show') },

  'GET /servers/:id/os-instance-actions': { run: listServerActions, query: actionListQuery, ...onServer('os-instance-actions:list') },
  'GET /servers/:id/os-instance-actions/:requestId': { run: showServerAction, query: noQuery, ...onServer('os-instance-actions:show') },
};
