import type { EngineKind, Query } from '../../db/engine.ts';
import { insertIgnore } from '../../db/statements.ts';
import { type QuotaResource, quotaDefaults, readQuotas } from '../../db/tables/network/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { quotaBelowUse } from '../../model/errors-network.ts';
import { must } from './access.ts';
import { bool, int, objectsIn } from './attributes.ts';
import type { NetworkParts } from './parts.ts';

const resources = Object.keys(quotaDefaults) as QuotaResource[];
const isResource = (name: string): name is QuotaResource => Object.hasOwn(quotaDefaults, name);

const projectOf = (call: Call): string => {
  const id = call.params.project_id ?? '';
  if (id.length > 255) throw invalidInput({ why: 'The project id is too long.' });
  return id;
};

const limitsOf = async (parts: NetworkParts, projectId: string) => {
  const quotas = await readQuotas(parts.db.read, parts.quotas, projectId);
  return Object.fromEntries(resources.map((name) => [name, quotas[name].limit]));
};

export async function showQuota(parts: NetworkParts, call: Call): Promise<Reply> {
  const projectId = projectOf(call);
  must(call, 'get_quota', { project_id: projectId });
  return { status: 200, body: { quota: await limitsOf(parts, projectId) } };
}

export function showQuotaDefaults(parts: NetworkParts, call: Call): Reply {
  must(call, 'get_quota', { project_id: projectOf(call) });
  return { status: 200, body: { quota: { ...parts.quotas } } };
}

export async function showQuotaDetails(parts: NetworkParts, call: Call): Promise<Reply> {
  const projectId = projectOf(call);
  must(call, 'get_quota', { project_id: projectId });
  const quotas = await readQuotas(parts.db.read, parts.quotas, projectId);
  return {
    status: 200,
    body: {
      quota: Object.fromEntries(resources.map((name) => [name, { limit: quotas[name].limit, used: quotas[name].used, reserved: 0 }])),
    },
  };
}

/** Every project with a limit of its own. */
export async function listQuotas(parts: NetworkParts, call: Call): Promise<Reply> {
  must(call, 'update_quota', {});
  const rows = await parts.db.read.selectFrom('net_quotas').select('project_id').distinct().where('limit_value', 'is not', null).execute();
  const quotas: object[] = [];
  for (const { project_id } of rows) quotas.push({ project_id, tenant_id: project_id, ...(await limitsOf(parts, project_id)) });
  return { status: 200, body: { quotas } };
}

export async function updateQuota(parts: NetworkParts, call: Call): Promise<Reply> {
  const projectId = projectOf(call);
  must(call, 'update_quota', {});
  const { items } = objectsIn(call.body, 'quota', 'quota');
  const { force, check_limit, project_id: _project, tenant_id: _tenant, ...limits } = items[0] ?? {};
  const check = check_limit !== undefined ? bool(check_limit, 'check_limit') : force !== undefined && !bool(force, 'force');
  const wanted = Object.entries(limits).map(([name, value]) => {
    if (!isResource(name)) throw invalidInput({ why: `Unrecognized attribute(s) '${name.slice(0, 50)}'` });
    return { resource: name, limit: int(-1, 2 ** 31 - 1)(value, name) };
  });
  await parts.db.transaction(async (tx) => {
    for (const { resource, limit } of wanted) {
      await setLimit(tx, parts.db.kind, projectId, resource, limit, check);
    }
  });
  return { status: 200, body: { quota: await limitsOf(parts, projectId) } };
}

/** Sets one limit; with `check` only if not more is in use already. Throws quotaBelowUse (409). */
async function setLimit(
  tx: Query,
  kind: EngineKind,
  projectId: string,
  resource: QuotaResource,
  limit: number,
  check: boolean,
): Promise<void> {
  await insertIgnore(tx, kind, 'net_quotas', { project_id: projectId, resource, limit_value: null, used: 0 });
  const update = tx
    .updateTable('net_quotas')
    .set({ limit_value: limit })
    .where('project_id', '=', projectId)
    .where('resource', '=', resource);
  const done = await (check && limit >= 0 ? update.where('used', '<=', limit) : update).executeTakeFirst();
  // A limit that was the same already may count as no change: so what is in use decides.
  if (done.numUpdatedRows > 0n || !check) return;
  const row = await tx
    .selectFrom('net_quotas')
    .select('used')
    .where('project_id', '=', projectId)
    .where('resource', '=', resource)
    .executeTakeFirst();
  if (limit >= 0 && (row?.used ?? 0) > limit) throw quotaBelowUse({ resource, used: row?.used ?? 0 });
}

export async function deleteQuota(parts: NetworkParts, call: Call): Promise<Reply> {
  must(call, 'delete_quota', {});
  await parts.db.transaction(async (tx) => {
    await tx.updateTable('net_quotas').set({ limit_value: null }).where('project_id', '=', projectOf(call)).execute();
  });
  return { status: 204 };
}
