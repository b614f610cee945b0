/** An IP address as a number; `version` tells how many bits it has (32 or 128). */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly value: bigint;
}

/** A network in CIDR form. `base` is its first address, `last` its last one. */
export interface Cidr {
  readonly version: 4 | 6;
  readonly base: bigint;
  readonly last: bigint;
  readonly prefix: number;
}

const V4_PART = /^(0|[1-9]\d{0,2})$/;
const V6_PART = /^[0-9a-f]{1,4}$/i;

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!V4_PART.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return BigInt(value);
}

function parseV6(text: string): bigint | undefined {
  let whole = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const low = parseV4(tail[2] ?? '');
    if (low === undefined) return undefined;
    whole = `${tail[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const halves = whole.split('::');
  if (halves.length > 2) return undefined;
  const left = halves[0] ? halves[0].split(':') : [];
  const right = halves[1] ? halves[1].split(':') : [];
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const part of [...left, ...Array.from({ length: missing }, () => '0'), ...right]) {
    if (!V6_PART.test(part)) return undefined;
    value = (value << 16n) | BigInt(Number.parseInt(part, 16));
  }
  return value;
}

/** Reads an address; undefined for anything else (leading zeros and zones included). */
export function parseIp(text: string): IpAddress | undefined {
  const v6 = text.includes(':');
  const value = v6 ? parseV6(text) : parseV4(text);
  return value === undefined ? undefined : { version: v6 ? 6 : 4, value };
}

/** The address in its one canonical form.  Spec: RFC 5952 for version 6. */
export function formatIp(version: 4 | 6, value: bigint): string {
  if (version === 4) {
    const n = Number(value);
    return `${Math.floor(n / 16_777_216)}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  }
  const parts = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && parts[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return parts.join(':');
  return `${parts.slice(0, best.at).join(':')}::${parts.slice(best.at + best.length).join(':')}`;
}

/** An address in its canonical form; what is none stays as it is. */
export function canonicalIp(text: string): string {
  const ip = parseIp(text);
  return ip ? formatIp(ip.version, ip.value) : text;
}

/** Reads `address/prefix`; bits behind the prefix are cut off, as Neutron does. Undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText = '', rest] = text.split('/');
  const ip = parseIp(address);
  if (!ip || rest !== undefined || !/^\d{1,3}$/.test(prefixText)) return undefined;
  const bits = ip.version === 4 ? 32 : 128;
  const prefix = Number(prefixText);
  if (prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const base = ip.value - (ip.value % size);
  return { version: ip.version, base, last: base + size - 1n, prefix };
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.version, cidr.base)}/${cidr.prefix}`;
export const inCidr = (cidr: Cidr, ip: IpAddress): boolean => ip.version === cidr.version && ip.value >= cidr.base && ip.value <= cidr.last;

/** First and last address a host may have: not the network's own, and for version 4 not the broadcast one. */
export function hostRange(cidr: Cidr): { first: bigint; last: bigint } {
  const bits = cidr.version === 4 ? 32 : 128;
  if (bits - cidr.prefix < 2) return { first: cidr.base, last: cidr.last };
  return { first: cidr.base + 1n, last: cidr.version === 4 ? cidr.last - 1n : cidr.last };
}

/** `255.255.0.0` for 16. */
export const netmaskOf = (version: 4 | 6, prefix: number): string => {
  const bits = version === 4 ? 32 : 128;
  return formatIp(version, ((1n << BigInt(prefix)) - 1n) << BigInt(bits - prefix));
};

/** The address a host gives itself from its MAC.  Spec: RFC 4291 appendix A (modified EUI-64). */
export function eui64(cidr: Cidr, mac: string): bigint {
  const b = mac.split(':').map((part) => Number.parseInt(part, 16));
  const bytes = [(b[0] ?? 0) ^ 2, b[1] ?? 0, b[2] ?? 0, 0xff, 0xfe, b[3] ?? 0, b[4] ?? 0, b[5] ?? 0];
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n) + cidr.base;
}
