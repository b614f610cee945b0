import { body, type Infer, leaf, list, required, since } from '../../../lib/shape.ts';
import { ipAddress, str, tag, uuid } from './server-common.ts';

/** Body of POST /servers/{id}/os-interface.  Spec: compute api-ref "Create interface". */
export const interfaceCreate = body({
  interfaceAttachment: body({
    net_id: uuid,
    port_id: uuid,
    fixed_ips: list(body({ ip_address: required(ipAddress) }), { minItems: 1, maxItems: 1 }),
    tag: since('2.49', tag),
  }),
});
export type InterfaceCreate = Infer<typeof interfaceCreate>;

export const addFixedIp = body({
  addFixedIp: required(body({ networkId: required(leaf<string | number>({ type: ['string', 'number'], minLength: 1, maxLength: 36 })) })),
});
export const removeFixedIp = body({ removeFixedIp: required(body({ address: required(ipAddress) })) });
export const addFloatingIp = body({ addFloatingIp: required(body({ address: required(ipAddress), fixed_address: ipAddress })) });
export const removeFloatingIp = body({ removeFloatingIp: required(body({ address: required(ipAddress) })) });

const groupWord = body({ name: required(str({ minLength: 1 })) });
const lenient = { additionalProperties: true };
export const addSecurityGroup = body({ addSecurityGroup: required(groupWord) }, lenient);
export const removeSecurityGroup = body({ removeSecurityGroup: required(groupWord) }, lenient);

export const floatingIpCreate = leaf<{ pool?: string | null } | null>({
  type: ['object', 'null'],
  properties: { pool: { type: ['string', 'null'] } },
});

const words = str({ minLength: 0, maxLength: 255 });
/** Body of POST and PUT /os-security-groups. */
export const securityGroup = body(
  { security_group: required(body({ name: required(words), description: required(words) }, lenient)) },
  lenient,
);
export type SecurityGroupBody = Infer<typeof securityGroup>;
const any = leaf<unknown>({});
export const securityGroupRule = body(
  {
    security_group_rule: required(
      body(
        {
          parent_group_id: required(uuid),
          group_id: leaf<string | null>({ type: ['string', 'null'], format: 'uuid' }),
          to_port: any,
          from_port: any,
          ip_protocol: any,
          cidr: any,
        },
        lenient,
      ),
    ),
  },
  lenient,
);
export type SecurityGroupRuleBody = Infer<typeof securityGroupRule>;
