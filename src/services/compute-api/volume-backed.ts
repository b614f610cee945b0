import type { Server } from '../../model/server.ts';

/** Whether the root disk is a volume. The one place that knows: what differs for such servers asks here. */
export const isVolumeBacked = (server: Pick<Server, 'imageId'>): boolean => server.imageId === null;
