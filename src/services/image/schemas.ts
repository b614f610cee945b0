import type { Reply } from '../../http/call.ts';
import { CONTAINER_FORMATS, DISK_FORMATS, IMAGE_STATUSES, MEMBER_STATUSES, VISIBILITIES } from '../../model/image.ts';

// What clients that build themselves from a schema read before they send anything.
const UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$';
const fixed = (type: string | string[], description: string, more: object = {}) => ({ type, readOnly: true, description, ...more });
const custom = (description: string, more: object = {}) => ({ type: 'string', is_base: false, description, ...more });
const maybe = ['null', 'string'];

const imageProperties = {
  id: { type: 'string', description: 'An identifier for the image', pattern: UUID },
  name: { type: maybe, description: 'Descriptive name for the image', maxLength: 255 },
  status: fixed('string', 'Status of the image', { enum: [...IMAGE_STATUSES, 'pending_delete', 'uploading', 'importing'] }),
  visibility: { type: 'string', description: 'Scope of image accessibility', enum: VISIBILITIES },
  protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
  os_hidden: { type: 'boolean', description: 'If true, image will not appear in default image list response.' },
  checksum: fixed(maybe, 'md5 hash of image contents.', { maxLength: 32 }),
  os_hash_algo: fixed(maybe, 'Algorithm to calculate the os_hash_value', { maxLength: 64 }),
  os_hash_value: fixed(maybe, 'Hexdigest of the image contents using the algorithm specified by the os_hash_algo', { maxLength: 128 }),
  owner: { type: maybe, description: 'Owner of the image', maxLength: 255 },
  size: fixed(['null', 'integer'], 'Size of image file in bytes'),
  virtual_size: fixed(['null', 'integer'], 'Virtual size of image in bytes'),
  container_format: { type: maybe, description: 'Format of the container', enum: [null, ...CONTAINER_FORMATS] },
  disk_format: { type: maybe, description: 'Format of the disk', enum: [null, ...DISK_FORMATS] },
  created_at: fixed('string', 'Date and time of image registration'),
  updated_at: fixed('string', 'Date and time of the last image modification'),
  tags: { type: 'array', description: 'List of strings related to the image', items: { type: 'string', maxLength: 255 } },
  direct_url: fixed('string', 'URL to access the image file kept in external store'),
  min_ram: { type: 'integer', description: 'Amount of ram (in MB) required to boot image.' },
  min_disk: { type: 'integer', description: 'Amount of disk space (in GB) required to boot image.' },
  self: fixed('string', 'An image self url'),
  file: fixed('string', 'An image file url'),
  schema: fixed('string', 'An image schema url'),
  architecture: custom('Operating system architecture'),
  description: custom('A human-readable string describing this image.'),
  instance_uuid: custom('The server this image was made from.'),
  kernel_id: custom('ID of the image that is the kernel of this one.', { type: maybe, pattern: UUID }),
  ramdisk_id: custom('ID of the image that is the ramdisk of this one.', { type: maybe, pattern: UUID }),
  os_distro: custom('Common name of operating system distribution'),
  os_version: custom('Operating system version as specified by the distributor'),
};
const link = (rel: string, href: string) => ({ rel, href });
const image = {
  name: 'image',
  properties: imageProperties,
  additionalProperties: { type: 'string' },
  links: [link('self', '{self}'), link('enclosure', '{file}'), link('describedby', '{schema}')],
};
const member = {
  name: 'member',
  properties: {
    member_id: { type: 'string', description: 'An identifier for the image member (tenantId)' },
    image_id: { type: 'string', description: 'An identifier for the image', pattern: UUID },
    created_at: { type: 'string', description: 'Date and time of image member creation' },
    updated_at: { type: 'string', description: 'Date and time of last modification of image member' },
    status: { type: 'string', description: 'The status of this image member', enum: MEMBER_STATUSES },
    schema: { readOnly: true, type: 'string' },
  },
};
const paged = {
  name: 'images',
  properties: {
    images: { type: 'array', items: image },
    first: { type: 'string' },
    next: { type: 'string' },
    schema: { type: 'string' },
  },
  links: [link('first', '{first}'), link('next', '{next}'), link('describedby', '{schema}')],
};
const members = {
  name: 'members',
  properties: { members: { type: 'array', items: member }, schema: { type: 'string' } },
  links: [link('describedby', '{schema}')],
};
const schemas = { image, images: paged, member, members };

export const schema = (name: keyof typeof schemas) => (): Reply => ({ status: 200, body: schemas[name] });
