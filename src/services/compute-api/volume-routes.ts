import type { RouteTable } from '../../http/call.ts';
import { volumesBootUntil } from './server-behaviours.ts';
import type { ServerParts } from './server-parts.ts';
import * as shapes from './shapes/volumes.ts';
import { attachVolume, detachVolume, listAttachments, showAttachment, updateAttachment } from './volume-attachments.ts';
import * as proxy from './volume-proxy.ts';

const ATTACHMENTS = '/servers/:id/os-volume_attachments';
const attachment = (rule: string) => ({ policy: `os_compute_api:os-volumes-attachments:${rule}`, policyOn: 'object' }) as const;
const volumes = (rule: string) => ({ policy: `os_compute_api:os-volumes:${rule}`, until: '2.35' }) as const;
const assisted = (rule: string) => ({ policy: `os_compute_api:os-assisted-volume-snapshots:${rule}` });

/** Volumes of servers, and compute's old face of the block storage service. */
export const volumeRoutes: RouteTable<ServerParts> = {
  [`GET ${ATTACHMENTS}`]: { run: listAttachments, query: shapes.pages, ...attachment('index') },
  [`POST ${ATTACHMENTS}`]: { run: attachVolume, body: shapes.attachVolume, ...attachment('create') },
  [`GET ${ATTACHMENTS}/:volume`]: { run: showAttachment, ...attachment('show') },
  [`PUT ${ATTACHMENTS}/:volume`]: { run: updateAttachment, body: shapes.updateAttachment, ...attachment('update') },
  [`DELETE ${ATTACHMENTS}/:volume`]: { run: detachVolume, ...attachment('delete') },

  'GET /os-volumes': { run: proxy.listVolumes, ...volumes('list') },
  'POST /os-volumes': { run: proxy.createVolume, body: shapes.volumeCreate, ...volumes('create') },
  'GET /os-volumes/detail': { run: proxy.listVolumes, ...volumes('detail') },
  'GET /os-volumes/:id': { run: proxy.showVolume, ...volumes('show') },
  'DELETE /os-volumes/:id': { run: proxy.deleteVolume, ...volumes('delete') },
  'GET /os-snapshots': { run: proxy.listSnapshots, ...volumes('snapshots:list') },
  'POST /os-snapshots': { run: proxy.createSnapshot, body: shapes.snapshotCreate, ...volumes('snapshots:create') },
  'GET /os-snapshots/detail': { run: proxy.listSnapshots, ...volumes('snapshots:detail') },
  'GET /os-snapshots/:id': { run: proxy.showSnapshot, ...volumes('snapshots:show') },
  'DELETE /os-snapshots/:id': { run: proxy.deleteSnapshot, ...volumes('snapshots:delete') },
  'POST /os-assisted-volume-snapshots': { run: proxy.createAssistedSnapshot, body: shapes.assistedSnapshot, ...assisted('create') },
  'DELETE /os-assisted-volume-snapshots/:id': {
    run: proxy.deleteAssistedSnapshot,
    query: shapes.assistedDelete,
    ...assisted('delete'),
  },
};

const ALIASED = /^[A-Z]+ \/servers(\/detail|\/:id(\/action#\w.*)?)?$/;

/** `os-volumes_boot`, which to 2.102 is another name for servers: their routes once more. */
export const volumesBootRoutes = <P>(routes: RouteTable<P>): RouteTable<P> =>
  Object.fromEntries(
    Object.entries(routes).flatMap(([key, route]) => {
      const until = volumesBootUntil(route);
      if (!ALIASED.test(key) || until === undefined) return [];
      return [[key.replace('/servers', '/os-volumes_boot'), { ...route, until }]];
    }),
  );
