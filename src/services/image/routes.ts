import type { RouteTable } from '../../http/call.ts';
import { leaf } from '../../lib/shape.ts';
import { importImage, importInfo, stageImage, storesInfo } from './discovery.ts';
import type { ImageParts } from './find-image.ts';
import { downloadImage, uploadImage } from './image-data.ts';
import { createImage, listAll, patchImage, removeImage, showImage } from './images.ts';
import { addMember, decideMember, listMembers, removeMember, showMember } from './members.ts';
import { schema } from './schemas.ts';
import { act, addTag, listImageTasks, removeTag } from './tags-and-actions.ts';
import { chooseVersion, showVersions } from './versions.ts';

// Image bodies are checked field by field (image-fields.ts): which field is refused how (400, 403) depends on its name.
const json = leaf<unknown>({});

export const routes = {
  'GET /': { run: chooseVersion, auth: 'none' },
  'GET /versions': { run: showVersions, auth: 'none' },
  'GET /v2/images': { run: listAll, policy: 'get_images' },
  'POST /v2/images': { run: createImage, body: json, policy: 'add_image', policyOn: 'object' },
  'GET /v2/images/:id': { run: showImage, policy: 'get_image', policyOn: 'object' },
  'HEAD /v2/images/:id': { run: showImage, policy: 'get_image', policyOn: 'object' },
  'PATCH /v2/images/:id': { run: patchImage, body: json, policy: 'modify_image', policyOn: 'object' },
  'DELETE /v2/images/:id': { run: removeImage, policy: 'delete_image', policyOn: 'object' },
  'GET /v2/images/:id/file': { run: downloadImage, policy: 'download_image', policyOn: 'object' },
  'HEAD /v2/images/:id/file': { run: downloadImage, policy: 'download_image', policyOn: 'object' },
  'PUT /v2/images/:id/file': { run: uploadImage, stream: true, policy: 'upload_image', policyOn: 'object' },
  'GET /v2/images/:id/tasks': { run: listImageTasks, policy: 'get_image', policyOn: 'object' },
  'PUT /v2/images/:id/stage': { run: stageImage, stream: true, policy: 'none' },
  'POST /v2/images/:id/import': { run: importImage, body: json, policy: 'modify_image', policyOn: 'object' },
  'PUT /v2/images/:id/tags/:tag': { run: addTag, policy: 'modify_image', policyOn: 'object' },
  'DELETE /v2/images/:id/tags/:tag': { run: removeTag, policy: 'modify_image', policyOn: 'object' },
  'GET /v2/images/:id/members': { run: listMembers, policy: 'get_members', policyOn: 'object' },
  'POST /v2/images/:id/members': { run: addMember, body: json, policy: 'add_member', policyOn: 'object' },
  'GET /v2/images/:id/members/:member': { run: showMember, policy: 'get_member', policyOn: 'object' },
  'PUT /v2/images/:id/members/:member': { run: decideMember, body: json, policy: 'modify_member', policyOn: 'object' },
  'DELETE /v2/images/:id/members/:member': { run: removeMember, policy: 'delete_member', policyOn: 'object' },
  'POST /v2/images/:id/actions/deactivate': { run: act('deactivate'), policy: 'deactivate', policyOn: 'object' },
  'POST /v2/images/:id/actions/reactivate': { run: act('reactivate'), policy: 'reactivate', policyOn: 'object' },
  'GET /v2/info/import': { run: importInfo, policy: 'none' },
  'GET /v2/info/stores': { run: storesInfo, policy: 'none' },
  'GET /v2/info/stores/detail': { run: storesInfo, policy: 'stores_info_detail' },
  'GET /v2/schemas/image': { run: schema('image'), policy: 'none' },
  'GET /v2/schemas/images': { run: schema('images'), policy: 'none' },
  'GET /v2/schemas/member': { run: schema('member'), policy: 'none' },
  'GET /v2/schemas/members': { run: schema('members'), policy: 'none' },
} satisfies RouteTable<ImageParts>;
