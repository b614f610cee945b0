import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { met, prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';
import { writeChange } from './changes.ts';

/** Counts a build that failed on a host. */
export async function countBuildFailure(tx: Query, kind: EngineKind, host: string, at: Micros): Promise<void> {
  await insertIgnore(tx, kind, 'host_build_failures', { host, failed: 0 }, ['host']);
  await tx
    .updateTable('host_build_failures')
    .set((eb) => ({ failed: eb('failed', '+', 1) }))
    .where('host', '=', host)
    .execute();
  await writeChange(tx, { noun: 'host', key: host, what: 'build-failed', projectId: null, body: {}, at });
}

const forget = prepared((db, p: { host: string }) => db.deleteFrom('host_build_failures').where('host', '=', p.host));
/** A build succeeded there: the host is as good as any again. */
export async function forgetBuildFailures(tx: Query, host: string, at: Micros): Promise<void> {
  if (met(await forget(tx, { host }))) await writeChange(tx, { noun: 'host', key: host, what: 'built', projectId: null, body: {}, at });
}
