import { sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import type { Call } from '../../http/call.ts';
import { isoSeconds } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import { revisionMismatch } from '../../model/errors-network.ts';
import type { Target } from '../../model/policy.ts';

/** Whether the caller acts for every project: an admin, or a service. */
export const elevated = (call: Call): boolean => call.allows('elevated');

/** Whose a new object is: `project_id` (or `tenant_id`) of the body, else the caller's project. Another project's needs an elevated caller (the policy
 *  rule is asked with it). Throws invalidInput for a caller without a project who names none. */
export function ownerOf(call: Call, values: { readonly project_id?: string; readonly tenant_id?: string }): string {
  const named = values.project_id ?? values.tenant_id;
  if (values.project_id !== undefined && values.tenant_id !== undefined && values.project_id !== values.tenant_id)
    throw invalidInput({ why: "'project_id' and 'tenant_id' do not match" });
  const owner = named ?? call.caller.projectId;
  if (owner === null || owner === '')
    throw invalidInput({ why: "The token is not scoped to a project, so 'project_id' must be specified" });
  return owner;
}

/** Throws policyForbids (403) unless the rule holds. */
export const must = (call: Call, rule: string, target: Target): void => call.allow(target, rule);

/** Holds the route's own rule against an object; one the caller may not see at all is as if it were not there. */
export function mustSee(call: Call, rule: string, target: Target, notFound: () => Error): void {
  if (!call.allows(rule, target)) throw notFound();
  call.allow(target, rule);
}

/** Booleans as policy rules compare them. */
export const word = (value: boolean): string => (value ? 'True' : 'False');

/** Revision that `If-Match: revision_number=N` asks for.  Spec: network api-ref, "Revision numbers". */
export function expectedRevision(call: Call): number | undefined {
  const header = call.headers['if-match'];
  if (header === undefined) return undefined;
  const found = /^"?revision_number=(\d{1,9})"?$/.exec(header.trim())?.[1];
  if (found === undefined) throw invalidInput({ why: 'Bad If-Match header, expected: revision_number=N' });
  return Number(found);
}
export function mustBeRevision(call: Call, row: { readonly revision: number }): void {
  const expected = expectedRevision(call);
  if (expected !== undefined && expected !== row.revision) throw revisionMismatch({ expected });
}

/** The part of a view every object has. */
export const commonView = (row: { revision: number; created_at: number; updated_at: number; project_id: string; description: string }) => ({
  project_id: row.project_id,
  tenant_id: row.project_id,
  description: row.description,
  revision_number: row.revision,
  created_at: isoSeconds(row.created_at),
  updated_at: isoSeconds(row.updated_at),
});

/** Uuids in pieces small enough for one statement's parameters. */
export function* pieces<T>(items: readonly T[], size = 500): Iterable<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** Tables whose objects count their changes. */
export type Table = 'net_networks' | 'net_subnets' | 'net_ports' | 'net_security_groups' | 'net_routers' | 'net_floating_ips';
/** Locks one row for the rest of the transaction and raises its revision. False when there is none. */
export async function touch(tx: Query, table: Table, uuid: string, now: number): Promise<boolean> {
  const done = await sql`update ${sql.table(table)} set revision = revision + 1, updated_at = ${now} where uuid = ${uuid}`.execute(tx);
  return (done.numAffectedRows ?? 0n) > 0n;
}
