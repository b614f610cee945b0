import {
  body,
  during,
  either,
  type Infer,
  leaf,
  list,
  oneOf,
  required,
  requiredSince,
  since,
  until,
  type Window,
} from '../../../lib/shape.ts';
import {
  description,
  diskConfig,
  flag,
  hostName,
  hostname,
  ipAddress,
  ipv4,
  ipv6,
  metadata,
  name,
  positive,
  str,
  tag,
  trustedCertificates,
  uuid,
} from './server-common.ts';

/** Lost from 2.33 to 2.41 for devices, from 2.37 to 2.41 for networks, by a slip upstream that clients know. */
const deviceTag: readonly Window[] = [
  ['2.32', '2.32'],
  ['2.42', null],
];
const networkTag: readonly Window[] = [
  ['2.32', '2.36'],
  ['2.42', null],
];

const network = body({
  fixed_ip: ipAddress,
  port: leaf<string | null>({ oneOf: [{ type: 'string', format: 'uuid' }, { type: 'null' }] }),
  uuid: either(until('2.36', str()), since('2.37', uuid)),
  tag: during(networkTag, tag),
});

const device = {
  virtual_name: str({ maxLength: 255 }),
  volume_id: uuid,
  snapshot_id: uuid,
  volume_size: leaf<number | string>({ type: ['integer', 'string'], pattern: '^[0-9]+$', minimum: 1, maximum: 2_147_483_647 }),
  device_name: str({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._/-]*$' }),
  delete_on_termination: flag,
  no_device: leaf<unknown>({}),
  connection_info: str({ maxLength: 16_777_215 }),
};
const deviceV2 = body({
  ...device,
  source_type: str({ enum: ['volume', 'image', 'snapshot', 'blank'] }),
  uuid: str({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' }),
  image_id: uuid,
  destination_type: str({ enum: ['local', 'volume'] }),
  guest_format: str({ maxLength: 255 }),
  device_type: str({ maxLength: 255 }),
  disk_bus: str({ maxLength: 255 }),
  boot_index: leaf<number | string | null>({ type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$' }),
  tag: during(deviceTag, tag),
  volume_type: since('2.67', leaf<string | null>({ type: ['string', 'null'], minLength: 0, maxLength: 255 })),
});

const personality = list(body({ path: str(), contents: str({ format: 'base64' }) }));

const uuids = { type: 'array', items: { type: 'string', format: 'uuid' } };
/** Hints of any name; the known ones have their forms. */
const hints = leaf<Record<string, unknown>>({
  type: 'object',
  properties: {
    group: { oneOf: [uuids, { type: 'string', format: 'uuid' }] },
    different_host: { oneOf: [{ type: 'string', format: 'uuid' }, uuids] },
    same_host: { type: ['string', 'array'], items: { type: 'string', format: 'uuid' } },
    query: { type: ['string', 'object'] },
    target_cell: { type: 'string', minLength: 1, maxLength: 255, format: 'name' },
    different_cell: { type: ['string', 'array'], items: { type: 'string' } },
    build_near_host_ip: { type: 'string', oneOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
    cidr: { type: 'string', pattern: '^/[0-9a-f.:]+$' },
  },
  additionalProperties: true,
});

/** What a create may say of its server.  Spec: compute api-ref "Create server". */
const server = body({
  name: required(name),
  flavorRef: required(leaf<string | number>({ type: ['string', 'integer'], minLength: 1 })),
  imageRef: leaf<string>({
    oneOf: [
      { type: 'string', format: 'uuid' },
      { type: 'string', maxLength: 0 },
    ],
  }),
  adminPass: str(),
  metadata,
  networks: requiredSince(
    '2.37',
    either(
      until('2.36', list(network)),
      since('2.37', oneOf(list(network), leaf<'none' | 'auto'>({ type: 'string', enum: ['none', 'auto'] }))),
    ),
  ),
  'OS-DCF:diskConfig': diskConfig,
  accessIPv4: ipv4,
  accessIPv6: ipv6,
  personality: until('2.56', personality),
  availability_zone: name,
  block_device_mapping: list(body(device)),
  block_device_mapping_v2: list(deviceV2),
  config_drive: flag,
  key_name: name,
  min_count: positive,
  max_count: positive,
  return_reservation_id: flag,
  security_groups: list(body({ name })),
  user_data: str({ format: 'base64', maxLength: 65_535 }),
  description: since('2.19', description),
  tags: since('2.52', list(tag, { maxItems: 50 })),
  trusted_image_certificates: trustedCertificates,
  host: since('2.74', hostName),
  hypervisor_hostname: since('2.74', hostName),
  hostname,
});

export const serverCreate = body({ server: required(server), 'os:scheduler_hints': hints, 'OS-SCH-HNT:scheduler_hints': hints });
export type ServerCreate = Infer<typeof serverCreate>;
export type ServerWish = ServerCreate['server'];
export type NetworkWish = Infer<typeof network>;
