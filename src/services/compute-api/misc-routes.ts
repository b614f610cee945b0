import type { RouteTable } from '../../http/call.ts';
import { refuseBareMetal, refuseBareMetalChange } from './baremetal-nodes.ts';
import { createConsole, getConsole, showConsoleToken } from './consoles.ts';
import {
  addImageMetadata,
  listImageMetadata,
  removeImageMetadata,
  replaceImageMetadata,
  setImageMetadata,
  showImageMetadata,
} from './image-metadata.ts';
import { listImageDetails, listImageNames, removeImage, showImage } from './images.ts';
import type { MiscParts } from './misc-parts.ts';
import { removedRoutes } from './removed.ts';
import { removePassword, showPassword } from './server-passwords.ts';
import { addTag, listTags, removeTag, removeTags, replaceTags, showTag } from './server-tags.ts';
import { imageListQuery, remoteConsole, serialConsole, spiceConsole, tagsReplace, vncConsole } from './shapes/misc.ts';
import { noWords } from './shapes/query.ts';
import { serverMetadata, serverMetadataItem } from './shapes/server-bodies.ts';
import { noQuery } from './shapes/server-common.ts';

const onServer = (rule: string) => ({ policy: `os_compute_api:${rule}`, policyOn: 'object' }) as const;

/** The image service decides by itself who may do what. */
const image = { policy: 'none', until: '2.35' } as const;
const imageMetadata = { policy: 'none', until: '2.38' } as const;
const nodes = { policy: 'none', until: '2.35' } as const;

/** Small resources that belong to no bigger room: a part of the compute API's table of contents. */
export const miscRoutes: RouteTable<MiscParts> = {
  'GET /servers/:id/tags': { run: listTags, since: '2.26', ...onServer('os-server-tags:index') },
  'PUT /servers/:id/tags': { run: replaceTags, body: tagsReplace, since: '2.26', ...onServer('os-server-tags:update_all') },
  'DELETE /servers/:id/tags': { run: removeTags, since: '2.26', ...onServer('os-server-tags:delete_all') },
  'GET /servers/:id/tags/:tag': { run: showTag, since: '2.26', ...onServer('os-server-tags:show') },
  'PUT /servers/:id/tags/:tag': { run: addTag, since: '2.26', ...onServer('os-server-tags:update') },
  'DELETE /servers/:id/tags/:tag': { run: removeTag, since: '2.26', ...onServer('os-server-tags:delete') },

  'GET /servers/:id/os-server-password': { run: showPassword, query: noQuery, ...onServer('os-server-password:show') },
  'DELETE /servers/:id/os-server-password': { run: removePassword, ...onServer('os-server-password:clear') },

  'POST /servers/:id/remote-consoles': { run: createConsole, body: remoteConsole, since: '2.6', ...onServer('os-remote-consoles') },
  'POST /servers/:id/action#os-getVNCConsole': {
    run: getConsole('vnc', 'os-getVNCConsole'),
    body: vncConsole,
    until: '2.5',
    ...onServer('os-remote-consoles'),
  },
  'POST /servers/:id/action#os-getSPICEConsole': {
    run: getConsole('spice', 'os-getSPICEConsole'),
    body: spiceConsole,
    until: '2.5',
    ...onServer('os-remote-consoles'),
  },
  'POST /servers/:id/action#os-getSerialConsole': {
    run: getConsole('serial', 'os-getSerialConsole'),
    body: serialConsole,
    until: '2.5',
    ...onServer('os-remote-consoles'),
  },
  'GET /os-console-auth-tokens/:token': { run: showConsoleToken, query: noWords('2.99'), policy: 'os_compute_api:os-console-auth-tokens' },

  'GET /images': { run: listImageNames, query: imageListQuery, ...image },
  'GET /images/detail': { run: listImageDetails, query: imageListQuery, ...image },
  'GET /images/:id': { run: showImage, query: noWords(), ...image },
  'DELETE /images/:id': { run: removeImage, ...image },
  'GET /images/:id/metadata': { run: listImageMetadata, ...imageMetadata },
  'POST /images/:id/metadata': { run: addImageMetadata, body: serverMetadata, ...imageMetadata },
  'PUT /images/:id/metadata': { run: replaceImageMetadata, body: serverMetadata, ...imageMetadata },
  'GET /images/:id/metadata/:key': { run: showImageMetadata, ...imageMetadata },
  'PUT /images/:id/metadata/:key': { run: setImageMetadata, body: serverMetadataItem, ...imageMetadata },
  'DELETE /images/:id/metadata/:key': { run: removeImageMetadata, ...imageMetadata },

  'GET /os-baremetal-nodes': { run: refuseBareMetal, ...nodes, policy: 'os_compute_api:os-baremetal-nodes:list' },
  'GET /os-baremetal-nodes/:id': { run: refuseBareMetal, ...nodes, policy: 'os_compute_api:os-baremetal-nodes:show' },
  'POST /os-baremetal-nodes': { run: refuseBareMetalChange('node-create'), ...nodes },
  'DELETE /os-baremetal-nodes/:id': { run: refuseBareMetalChange('node-delete'), ...nodes },
  'POST /os-baremetal-nodes/:id/action#add_interface': { run: refuseBareMetalChange('port-create'), ...nodes },
  'POST /os-baremetal-nodes/:id/action#remove_interface': { run: refuseBareMetalChange('port-delete'), ...nodes },

  ...removedRoutes,
};
