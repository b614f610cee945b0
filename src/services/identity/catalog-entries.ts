import type { CatalogEndpoint, CatalogEntry } from './catalog.ts';
import type { Parts } from './parts.ts';

const TEMPLATE = /[$%]\((tenant_id|project_id|user_id)\)s/g;

/** The cloud's own services and those added by services and endpoints of the tables, for one project. */
export async function fullCatalog(
  { db, catalog }: Pick<Parts, 'db' | 'catalog'>,
  origin: string,
  projectId: string | null,
): Promise<CatalogEntry[]> {
  const own = catalog(origin, projectId);
  const services = await db.read.selectFrom('identity_services').selectAll().where('enabled', '=', 1).orderBy('key').execute();
  const endpoints = await db.read.selectFrom('identity_endpoints').selectAll().where('enabled', '=', 1).orderBy('key').execute();
  if (endpoints.length === 0 && services.length === 0) return [...own];
  const added = (serviceId: string): CatalogEndpoint[] =>
    endpoints
      .filter((row) => row.service_id === serviceId && (projectId !== null || row.url.search(TEMPLATE) < 0))
      .map((row) => ({
        id: row.id,
        interface: row.interface,
        region: row.region_id,
        region_id: row.region_id,
        // A URL may speak of its user, which a catalog of one project cannot fill; such words stay.
        url: row.url.replaceAll(TEMPLATE, (whole, word: string) => (word === 'user_id' ? whole : (projectId ?? ''))),
      }));
  return [
    ...own.map((entry) => ({ ...entry, endpoints: [...entry.endpoints, ...added(entry.id)] })),
    ...services.map((row) => ({ id: row.id, type: row.type, name: row.name, endpoints: added(row.id) })),
  ];
}
