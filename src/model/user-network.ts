import { formatIp, hostRange, inCidr, parseCidr, parseIp } from './ip-address.ts';

/** The widest network QEMU's user-mode backend is given (`net=`): it must hold the guest's subnet and 169.254.169.254 alike, on one NIC. */
export const USER_NET = '160.0.0.0/4';
/** Subnets within this can be served by the user-mode backend with metadata on one NIC. */
export const USER_SUBNETS = '172.16.0.0/12';
/** Name server of subnets too small to spare an address; it lies in USER_NET, so the guest finds it on its link. */
const LINK_LOCAL_NAME_SERVER = '169.254.169.253';

/** What the user-mode backend takes for itself in a subnet: `host=` is the router, `dns=` the name server, `dhcpstart` the guest's own
 *  address (so it is not here). No port ever gets `router` or `nameServer`. */
export interface UserNetworkAddresses {
  /** `host=`: the subnet's gateway, or its first host address when it has none. */
  readonly router: string;
  /** `dns=`: the second host address (the third when the router is the second); 169.254.169.253 in subnets with less than four. */
  readonly nameServer: string;
  /** First address of the default allocation pool. */
  readonly firstGuest: string;
}

/** The addresses a user-mode guest's subnet keeps for router and name server: for 172.24.0.0/16 they are .0.1 and .0.2. Undefined when the
 *  subnet does not lie within 172.16.0.0/12: then user mode cannot serve it. Pure: network service and QEMU driver both ask here. */
export function reservedAddresses(cidr: string, gateway?: string | null): UserNetworkAddresses | undefined {
  const subnet = parseCidr(cidr);
  const whole = parseCidr(USER_SUBNETS);
  if (!subnet || !whole || subnet.version !== 4 || subnet.prefix < whole.prefix || !inCidr(whole, { version: 4, value: subnet.base }))
    return undefined;
  const hosts = hostRange(subnet);
  const asked = gateway ? parseIp(gateway) : undefined;
  const router = asked && inCidr(subnet, asked) ? asked.value : hosts.first;
  if (hosts.last - hosts.first < 3n) {
    const guest = router === hosts.first ? hosts.first + 1n : hosts.first;
    return { router: formatIp(4, router), nameServer: LINK_LOCAL_NAME_SERVER, firstGuest: formatIp(4, guest) };
  }
  const nameServer = router === hosts.first + 1n ? hosts.first + 2n : hosts.first + 1n;
  let guest = hosts.first;
  while (guest === router || guest === nameServer) guest++;
  return { router: formatIp(4, router), nameServer: formatIp(4, nameServer), firstGuest: formatIp(4, guest) };
}
