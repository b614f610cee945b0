import type { GuestCells } from '../../bus/contracts/guest-cells.ts';
import type { Call, Reply } from '../../http/call.ts';
import { typedProperties } from '../../model/image-properties.ts';
import { guestNumaOf } from '../../model/numa/constraints.ts';
import type { Server } from '../../model/server.ts';
import { ownerOf, serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';

/** GET /servers/{id}/topology: the memory cells of a server that asked for some, none for others. Where they stand on their host is told to whom the
 *  policy names, while that host answers.  Spec: compute api-ref "Show Server Topology", microversion 2.78. */
export async function showTopology(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const wished = wishedCells(server);
  if (!wished) return { status: 200, body: { nodes: [], pagesize_kb: null } };
  const standing = await parts.guestCells?.(server).catch(() => null);
  const trusted = call.allows('compute:server:topology:host:index', ownerOf(server));
  const nodes = (standing ?? wished).cells.map((cell) => ({
    memory_mb: cell.memoryMiB,
    siblings: cell.siblings,
    vcpu_set: cell.cpus,
    ...(trusted && standing ? { host_node: cell.hostCell, cpu_pinning: Object.fromEntries(cell.pins) } : {}),
  }));
  return { status: 200, body: { nodes, pagesize_kb: (standing ?? wished).pageKiB } };
}

/** The cells as flavor and image ask for them: all there is to say of a server whose host does not answer. */
function wishedCells({ flavor, image }: Server): GuestCells | null {
  const imageProperties = typedProperties(image?.properties ?? {});
  const { vcpus, memoryMiB, extraSpecs } = flavor;
  try {
    const wish = guestNumaOf({ vcpus, memoryMiB, extraSpecs, imageProperties });
    if (!wish) return null;
    const size = wish.cells[0]?.pageKiB ?? null;
    return {
      pageKiB: size !== null && size > 0 ? size : null,
      cells: wish.cells.map((cell) => ({
        cpus: [...cell.shared.union(cell.dedicated)].sort((a, b) => a - b),
        memoryMiB: cell.memoryMiB,
        hostCell: 0,
        pins: [],
        siblings: [],
      })),
    };
  } catch {
    return null; // what cannot be read found no host either
  }
}
