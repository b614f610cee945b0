import { freeCpus, type GuestCell, type GuestNuma, type HostCell, type HostNuma, type HostPages, isShared } from './topology.ts';

/** The host's cells with a placed guest counted in. Throws when CPUs it is pinned to are taken or unknown.
 *  Spec: Nova's numa_usage_from_instance_numa. */
export const withGuest = (host: HostNuma, guest: GuestNuma): HostNuma => counted(host, guest, pinnedWith);
/** The same for a guest that stands there already, whatever the host says of its CPUs by now. */
export const withGuestStanding = (host: HostNuma, guest: GuestNuma): HostNuma =>
  counted(host, guest, (cell, own) => cpusOf(cell, own).union(cell.pinned));

const counted = (host: HostNuma, guest: GuestNuma, pinned: (cell: HostCell, own: GuestCell) => Set<number>): HostNuma => ({
  cells: host.cells.map((cell) => {
    let [now, memory, cpus] = [cell, cell.memoryUsageMiB, cell.cpuUsage];
    for (const own of guest.cells) {
      if (own.id !== cell.id) continue;
      now = { ...now, pages: pagesWith(now, own) };
      memory += own.memoryMiB;
      cpus += own.shared.size;
      if (!isShared(own)) now = { ...now, pinned: pinned(now, own) };
    }
    return { ...now, memoryUsageMiB: Math.max(0, memory), cpuUsage: Math.max(0, cpus) };
  }),
});

function pagesWith(host: HostCell, guest: GuestCell): readonly HostPages[] {
  const size = guest.pageKiB || Math.min(...host.pages.map((page) => page.sizeKiB));
  return host.pages.map((page) =>
    page.sizeKiB === size ? { ...page, used: Math.trunc(Math.max(0, page.used + (guest.memoryMiB * 1024) / size)) } : page,
  );
}

function cpusOf(host: HostCell, guest: GuestCell): Set<number> {
  const cpus = new Set(guest.pinning.values()).union(guest.reserved ?? new Set<number>());
  if (guest.threads !== 'isolate') return cpus;
  return new Set(host.siblings.filter((core) => !core.isDisjointFrom(cpus)).flatMap((core) => [...core]));
}
function pinnedWith(host: HostCell, guest: GuestCell): Set<number> {
  const cpus = cpusOf(host, guest);
  if (!cpus.isSubsetOf(host.dedicated)) throw new Error('the server is pinned to CPUs that the cell does not have');
  if (!cpus.isSubsetOf(freeCpus(host))) throw new Error('the server is pinned to CPUs that are taken');
  return cpus.union(host.pinned);
}
