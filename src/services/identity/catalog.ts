import { sha256 } from '../../lib/ids.ts';

export interface CatalogEndpoint {
  readonly id: string;
  readonly interface: 'public' | 'internal' | 'admin';
  readonly region: string | null;
  readonly region_id: string | null;
  readonly url: string;
}
/** One service in a token's catalog. */
export interface CatalogEntry {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly endpoints: readonly CatalogEndpoint[];
}
/** The cloud's own services for a client that came by `origin` (`http://host:port`). Without a project, endpoints with a project in their URL are left out. */
export type CatalogBuilder = (origin: string, projectId: string | null) => readonly CatalogEntry[];

const PROJECT = '%(project_id)s';
const SERVICES: readonly (readonly [type: string, name: string, path: string])[] = [
  ['identity', 'keystone', '/identity/v3'],
  ['image', 'glance', '/image'],
  ['network', 'neutron', '/network'],
  ['compute', 'nova', '/v2.1'],
  ['compute_legacy', 'nova_legacy', `/v2/${PROJECT}`],
  ['volumev3', 'cinderv3', `/volume/v3/${PROJECT}`],
  ['block-storage', 'cinder', `/volume/v3/${PROJECT}`],
  ['placement', 'placement', '/placement'],
];
const INTERFACES = ['public', 'internal', 'admin'] as const;
/** 32 hex digits that are the same at every start, so that clients may keep them. */
const steadyId = (...words: readonly string[]) => sha256(words.join('|')).slice(0, 32);

/** The catalog of a cloud behind one front door. `types`: only these services (a cloud without volumes says so by leaving them out). */
export function defaultCatalog(options: { readonly regionName: string; readonly types?: readonly string[] }): CatalogBuilder {
  const region = options.regionName;
  const served = SERVICES.filter(([type]) => options.types?.includes(type) ?? true).map(([type, name, path]) => ({
    id: steadyId('service', type),
    type,
    name,
    path,
    endpoints: INTERFACES.map((face) => ({ id: steadyId('endpoint', region, type, face), interface: face })),
  }));
  return (origin, projectId) =>
    served.map(({ id, type, name, path, endpoints }) => ({
      id,
      type,
      name,
      endpoints:
        path.includes(PROJECT) && projectId === null
          ? []
          : endpoints.map((endpoint) => ({
              ...endpoint,
              region,
              region_id: region,
              url: `${origin}${path.replace(PROJECT, projectId ?? '')}`,
            })),
    }));
}
