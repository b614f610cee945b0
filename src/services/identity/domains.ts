import type { IdentityDomainsTable } from '../../db/tables/identity/tables.ts';
import type { Call, Reply, RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { identityConflict, identityForbidden } from '../../model/errors-identity.ts';
import {
  descriptionOf,
  enabledOf,
  enabledSchema,
  extraOf,
  kept,
  mustBeMutable,
  nameSchema,
  optionsOf,
  optionsSchema,
  tagsSchema,
  textSchema,
  wrapped,
} from './attributes.ts';
import { dropGrants } from './drop-grants.ts';
import { findDomain } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';

interface DomainBody {
  domain: {
    name?: string;
    description?: string | null;
    enabled?: boolean;
    tags?: string[];
    options?: Record<string, unknown>;
    explicit_domain_id?: string;
  };
}
const fields = {
  name: nameSchema(64),
  description: textSchema,
  enabled: enabledSchema,
  tags: tagsSchema,
  options: optionsSchema,
  explicit_domain_id: { type: 'string', pattern: '^[0-9a-f]{32}$' },
};
const known = Object.keys(fields);

export const domainRoutes: RouteTable<Parts> = {
  'GET /v3/domains': { run: listDomains, policy: 'identity:list_domains', policyOn: 'object' },
  'POST /v3/domains': { run: createDomain, body: wrapped<DomainBody>('domain', fields, ['name']), policy: 'identity:create_domain' },
  'GET /v3/domains/:id': { run: showDomain, policy: 'identity:get_domain', policyOn: 'object' },
  'PATCH /v3/domains/:id': { run: updateDomain, body: wrapped<DomainBody>('domain', fields), policy: 'identity:update_domain' },
  'DELETE /v3/domains/:id': { run: deleteDomain, policy: 'identity:delete_domain' },
};

type DomainRow = Omit<IdentityDomainsTable, 'key'>;
export const domainView = (row: DomainRow, base: string) => {
  const { extra, options } = kept(row);
  return {
    ...extra,
    id: row.id,
    name: row.name,
    description: row.description ?? '',
    enabled: row.enabled === 1,
    tags: JSON.parse(row.tags) as string[], // written by us
    options,
    links: { self: `${base}/v3/domains/${row.id}` },
  };
};

async function listDomains({ db }: Parts, call: Call): Promise<Reply> {
  // A caller of one domain sees that one; the rest needs the right to see all.
  const own = call.caller.domainId;
  const all = call.allows('identity:list_domains', {});
  if (!all) call.allow({ 'target.domain.id': own });
  else call.allow({});
  const rows = await db.read.selectFrom('identity_domains').selectAll().orderBy('key').execute();
  return listReply(call, {
    key: 'domains',
    rows: all ? rows : rows.filter((row) => row.id === own),
    view: (row) => domainView(row, call.base),
    exact: ['name', 'enabled'],
  });
}

async function showDomain({ db }: Parts, call: Call): Promise<Reply> {
  const id = call.params.id ?? '';
  call.allow({ 'target.domain.id': id });
  return { status: 200, body: { domain: domainView(await findDomain(db.read, id), call.base) } };
}

async function createDomain({ feed }: Parts, call: Call<DomainBody>): Promise<Reply> {
  const wish = call.body.domain;
  const row = {
    id: wish.explicit_domain_id ?? newHexId(),
    name: wish.name ?? '',
    description: descriptionOf(wish),
    enabled: enabledOf(wish),
    tags: JSON.stringify(wish.tags ?? []),
    options: optionsOf(wish.options),
    extra: extraOf(wish, known),
  };
  await feed.write(async (tx) => {
    const taken = await tx
      .selectFrom('identity_domains')
      .select('id')
      .where((e) => e.or([e('name', '=', row.name), e('id', '=', row.id)]))
      .executeTakeFirst();
    if (taken) throw identityConflict({ what: 'domain', why: `there is already one with the name ${row.name} or that id` });
    await tx.insertInto('identity_domains').values(row).execute();
  });
  return { status: 201, body: { domain: domainView(row, call.base) } };
}

async function updateDomain({ feed }: Parts, call: Call<DomainBody>): Promise<Reply> {
  const wish = call.body.domain;
  const row = await feed.write(async (tx, tell) => {
    const before = await findDomain(tx, call.params.id ?? '');
    mustBeMutable('domain', before, wish);
    const change = {
      name: wish.name ?? before.name,
      description: descriptionOf(wish, before),
      enabled: enabledOf(wish, before),
      tags: wish.tags ? JSON.stringify(wish.tags) : before.tags,
      options: optionsOf(wish.options, before.options),
      extra: extraOf(wish, known, before.extra),
    };
    const taken = await tx.selectFrom('identity_domains').select('id').where('name', '=', change.name).executeTakeFirst();
    if (taken && taken.id !== before.id)
      throw identityConflict({ what: 'domain', why: `there is already one with the name ${change.name}` });
    await tx.updateTable('identity_domains').set(change).where('id', '=', before.id).execute();
    tell({ refuse: before.enabled === 1 && change.enabled === 0, domainId: before.id });
    return { ...before, ...change };
  });
  return { status: 200, body: { domain: domainView(row, call.base) } };
}

/** Removes a disabled domain with everything in it. */
async function deleteDomain({ feed }: Parts, call: Call): Promise<Reply> {
  await feed.write(async (tx, tell) => {
    const domain = await findDomain(tx, call.params.id ?? '');
    mustBeMutable('domain', domain);
    if (domain.id === 'default') throw identityForbidden({ why: 'The default domain cannot be deleted.' });
    if (domain.enabled === 1) throw identityForbidden({ why: 'Cannot delete a domain that is enabled, please disable it first.' });
    for (const table of ['identity_projects', 'identity_users', 'identity_groups', 'identity_roles'] as const) {
      const rows = await tx.selectFrom(table).select('id').where('domain_id', '=', domain.id).execute();
      for (const row of rows) await dropGrants(tx, row.id);
      await tx.deleteFrom(table).where('domain_id', '=', domain.id).execute();
    }
    await dropGrants(tx, domain.id);
    await tx.deleteFrom('identity_domains').where('id', '=', domain.id).execute();
    tell({ refuse: true, domainId: domain.id });
    tell({ refuse: false });
  });
  return { status: 204 };
}
