import type { NetworkClient } from '../../clients/network.ts';
import type { Call } from '../../http/call.ts';
import { CloudError } from '../../model/errors.ts';
import type { ServerParts } from './server-parts.ts';

/** What the routes of addresses, ports and security groups work with. */
export interface NetworkingParts extends ServerParts {
  /** The network service. Users' wishes are asked with their own token, so that it decides what they may; the rest as our service user. */
  readonly networking: Pick<NetworkClient, 'ask' | 'portsOf' | 'groupNames'>;
}

export interface PortJson {
  readonly id: string;
  readonly network_id: string;
  readonly project_id: string;
  readonly mac_address: string;
  readonly status: string;
  readonly device_id: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly security_groups: readonly string[];
  readonly port_security_enabled?: boolean;
}
export interface NetworkJson {
  readonly id: string;
  readonly name: string;
  readonly is_default?: boolean;
}
export interface FloatingIpJson {
  readonly id: string;
  readonly floating_ip_address: string;
  readonly floating_network_id: string;
  readonly fixed_ip_address: string | null;
  readonly port_id: string | null;
}
export interface GroupJson {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly project_id: string;
  readonly security_group_rules: readonly RuleJson[];
}
export interface RuleJson {
  readonly id: string;
  readonly direction: string;
  readonly ethertype: string;
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: string | null;
  readonly remote_group_id: string | null;
  readonly security_group_id: string;
}

type Words = readonly (readonly [word: string, value: string])[];
const path = (noun: string, words: Words) =>
  `/v2.0/${noun}?${new URLSearchParams(words.map(([word, value]): [string, string] => [word, value]))}`;
export const one = (noun: string, id: string) => `/v2.0/${noun}/${encodeURIComponent(id.slice(0, 100))}`;

/** What the caller sees of a noun. */
export async function listOf<T>(parts: NetworkingParts, call: Call, noun: string, words: Words): Promise<T[]> {
  const { body } = await parts.networking.ask<Record<string, T[]>>('GET', path(noun, words), { token: call.token });
  return body[noun.replaceAll('-', '_')] ?? [];
}

type Asked = { readonly body?: unknown; readonly asService?: true };
/** Asks as the caller, unless `asService`. */
export const asked = async <T>(
  parts: NetworkingParts,
  call: Call,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  where: string,
  more: Asked = {},
) =>
  (
    await parts.networking.ask<T>(method, where, {
      ...(more.asService ? {} : { token: call.token }),
      ...(more.body === undefined ? {} : { body: more.body }),
    })
  ).body;

export const statusOf = (cause: unknown): number | undefined =>
  cause instanceof CloudError && typeof cause.params.status === 'number' ? cause.params.status : undefined;

/** Turns some of the network service's refusals, by status, into ours. */
export async function saying<T>(work: Promise<T>, words: Readonly<Record<number, (cause: CloudError) => Error>>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const status = statusOf(cause);
    const word = status === undefined ? undefined : words[status];
    throw word && cause instanceof CloudError ? word(cause) : cause;
  }
}

export const portsOfServer = (parts: NetworkingParts, call: Call, serverUuid: string) =>
  listOf<PortJson>(parts, call, 'ports', [['device_id', serverUuid]]);
