import { networkUnsupported } from '../../model/errors-hypervisor.ts';
import type { GuestNic, GuestSpec } from '../driver.ts';

/** How one card is connected to QEMU's user-mode network. */
export interface NicPlan {
  readonly mac: string;
  /** Null: a card without an address, connected to nothing that answers. */
  readonly ipv4: {
    readonly net: string;
    /** QEMU's own router address, the guest's, and QEMU's own name server: three different ones. */
    readonly router: string;
    readonly address: string;
    readonly nameServer: string;
    /** Whether ports are forwarded to this card, and whether 169.254.169.254 answers on it. */
    readonly forwards: boolean;
    readonly metadata: boolean;
  } | null;
}
export interface NetworkPlan {
  readonly nics: readonly NicPlan[];
  /** What the guest will miss, for the log. */
  readonly warnings: readonly string[];
}

/** QEMU wants every address of a user network inside its one prefix, and none shorter than /4. This one holds both 172.16.0.0/12 and
 *  the metadata address, so a guest of that range has all it needs on one card. */
const WIDE = '160.0.0.0/4';

/** Decides how the guest's cards are connected; pure. The first card with an address carries metadata and forwards.
 *  Throws networkUnsupported when the guest could neither reach its metadata nor has a config drive, or has only IPv6. */
export function planNetwork(spec: Pick<GuestSpec, 'nics' | 'configDrive' | 'metadataSocket'>): NetworkPlan {
  const warnings: string[] = [];
  let first = true;
  const nics = spec.nics.map((nic): NicPlan => {
    if (nic.addresses.length === 0) return { mac: nic.mac, ipv4: null };
    const fixed = nic.addresses.find((entry) => isIpv4(entry.address));
    if (!fixed)
      throw networkUnsupported({ why: `Port ${nic.portId} has only IPv6 addresses; the user-mode network of this host serves IPv4.` });
    if (nic.addresses.length > 1) warnings.push(`port ${nic.portId}: only ${fixed.address} is served, its other addresses are not`);
    const main = first;
    first = false;
    const wide = main && inside(fixed.address, '172.16.0.0/12');
    if (main && !wide && spec.metadataSocket !== null) {
      const range = `Subnet ${fixed.cidr} of port ${nic.portId} lies outside 172.16.0.0/12: the user-mode network of this host cannot bring metadata to it`;
      if (spec.configDrive === null)
        throw networkUnsupported({ why: `${range}. Ask for a config drive, or use a subnet within that range.` });
      warnings.push(`${range}; the config drive has to do`);
    }
    return {
      mac: nic.mac,
      ipv4: { ...addressing(nic, fixed), net: wide ? WIDE : fixed.cidr, forwards: main, metadata: wide && spec.metadataSocket !== null },
    };
  });
  return { nics, warnings };
}

function addressing(nic: GuestNic, fixed: { address: string; cidr: string; gateway: string | null }) {
  const { low, high } = range(fixed.cidr);
  if (high - low < 3)
    throw networkUnsupported({ why: `Subnet ${fixed.cidr} of port ${nic.portId} is too small for the user-mode network of this host.` });
  const usable = (address: string | null | undefined) => address != null && isIpv4(address) && inside(address, fixed.cidr);
  const taken = new Set([fixed.address]);
  const pick = (wish: string | null | undefined) => {
    let chosen = usable(wish) && !taken.has(wish!) ? wish! : undefined;
    for (let at = high - 1; chosen === undefined; at--) if (!taken.has(text(at))) chosen = text(at); // from the top: the low ones are routers by habit
    taken.add(chosen);
    return chosen;
  };
  return { address: fixed.address, router: pick(fixed.gateway), nameServer: pick(nic.nameServers.find(usable)) };
}

const isIpv4 = (address: string) => /^\d{1,3}(\.\d{1,3}){3}$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const text = (value: number) => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
/** First and last address of a prefix, as numbers. */
function range(cidr: string): { low: number; high: number } {
  const [address = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const low = Math.floor(number(address) / size) * size;
  return { low, high: low + size - 1 };
}
const inside = (address: string, cidr: string) => {
  const { low, high } = range(cidr);
  return number(address) >= low && number(address) <= high;
};
