import type { HostView } from './host-view.ts';
import type { Wish } from './wish.ts';

/** The hosts a request may go to at all, before any filter is asked, and whether filters are asked then. The requested destination compares exactly, hosts
 *  to ignore or force without case, nodes exactly. Throws when a destination names a host and leaves its node unsaid.
 *  Spec: Nova's get_filtered_hosts. */
export function narrowHosts<H extends HostView>(
  hosts: readonly H[],
  wish: Wish,
): { readonly hosts: readonly H[]; readonly asked: boolean } {
  const { destination, ignoredHosts, forcedHosts, forcedNodes } = wish;
  let left = hosts;
  if (destination?.host != null && destination.node === undefined) throw new Error('the requested destination does not say its node');
  if (destination?.host != null)
    left = left.filter((one) => one.host === destination.host && (!destination.node || one.node === destination.node));
  const small = (list: readonly string[]) => new Set(list.map((name) => name.toLowerCase()));
  if (ignoredHosts.length > 0) {
    const ignored = small(ignoredHosts);
    left = left.filter((one) => !ignored.has(one.host.toLowerCase()));
  }
  if (forcedHosts.length > 0) {
    const forced = small(forcedHosts);
    left = left.filter((one) => forced.has(one.host.toLowerCase()));
  }
  if (forcedNodes.length > 0) left = left.filter((one) => forcedNodes.includes(one.node));
  const check = wish.hints?._nova_check_type;
  const forced = forcedHosts.length > 0 || forcedNodes.length > 0;
  return { hosts: left, asked: !forced || (Array.isArray(check) ? check.length > 0 : Boolean(check)) };
}
