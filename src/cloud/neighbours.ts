import { openConnections } from '../clients/connections.ts';
import { serviceToken } from '../clients/identity.ts';
import { type ImageClient, imageClient } from '../clients/image.ts';
import { neighbour } from '../clients/neighbour.ts';
import { type NetworkClient, networkClient } from '../clients/network.ts';
import { type VolumeClient, volumeClient } from '../clients/volume.ts';
import type { Clock } from '../lib/clock.ts';

/** The services beside compute, asked as our service user. */
export interface Neighbours {
  readonly images: ImageClient;
  readonly networks: NetworkClient;
  readonly volumes: VolumeClient;
  readonly token: (fresh: boolean) => Promise<string>;
  close(): Promise<void>;
}

/** URLs may be functions: in one process they are only known when the front door listens. `identityUrl` ends with /v3. */
export function openNeighbours(options: {
  clock: Clock;
  identityUrl: string | (() => string);
  imageUrl: string | (() => string);
  networkUrl: string | (() => string);
  /** Ends with /v3; null: this cloud has no volumes. */
  volumeUrl: string | (() => string) | null;
  user: string;
  password: string;
  project: string;
}): Neighbours {
  const connections = openConnections();
  const token = serviceToken({
    url: options.identityUrl,
    connections,
    userName: options.user,
    password: options.password,
    projectName: options.project,
    clock: options.clock,
  });
  return {
    images: imageClient(neighbour({ service: 'image', url: options.imageUrl, token, connections })),
    networks: networkClient(neighbour({ service: 'network', url: options.networkUrl, token, connections })),
    volumes: volumeClient(options.volumeUrl === null ? null : neighbour({ service: 'volume', url: options.volumeUrl, token, connections })),
    token,
    close: async () => connections.close(),
  };
}
