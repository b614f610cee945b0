import { insertActions } from '../../db/tables/compute/actions.ts';
import { wakeJobs } from '../../db/tables/compute/jobs.ts';
import { findMigration, listMigrations, openMigrations, type ServerMigration, setMigration } from '../../db/tables/compute/migrations.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { migrationNotFound, migrationNotInProgress, migrationNotLive, migrationWrongState } from '../../model/errors-moves.ts';
import { JOBS_RING } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { nextLink, pageLimit } from './links.ts';
import { migrationsArePaged, queuedMigrationsCanBeAborted } from './server-behaviours.ts';
import { jobContext, ownerOf, serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { changeServer, mustAllow } from './server-tasks.ts';
import { isYes } from './shapes/query.ts';
import { isInProgress, liveMigrationView, migrationView } from './views/migrations.ts';
import { linkRoots } from './views/server-links.ts';

/** GET /os-migrations: moves of the caller's project, of all where the caller may see them.  Spec: compute api-ref "List Migrations". */
export async function listAllMigrations(parts: ServerParts, call: Call): Promise<Reply> {
  const paged = migrationsArePaged(call.version);
  const most = parts.maxLimit ?? 1000;
  const limit = paged ? pageLimit(call, most) : Number.MAX_SAFE_INTEGER;
  const times = { changedSince: timeOf(call, 'changes-since'), changedBefore: timeOf(call, 'changes-before') };
  if (times.changedSince !== undefined && times.changedBefore !== undefined && times.changedSince > times.changedBefore)
    throw invalidInput({ why: 'The value of changes-since must be less than or equal to changes-before.' });
  const askedProject = one(call, 'project_id');
  const everywhere = call.allows('os_compute_api:os-migrations:index:all_projects');
  const own = call.caller.projectId ?? '';
  const foreign = !everywhere && askedProject !== undefined && askedProject !== own;
  const marker = paged ? one(call, 'marker') : undefined;
  const wish = {
    host: one(call, 'host'),
    sourceHost: one(call, 'source_compute'),
    serverUuid: one(call, 'instance_uuid'),
    status: one(call, 'status'),
    type: one(call, 'migration_type'),
    userId: one(call, 'user_id'),
    projectId: everywhere ? askedProject : own,
    ...times,
    marker,
    limit,
    newestFirst: paged,
  };
  const none = foreign || limit === 0 || isYes(one(call, 'hidden')); // none of ours is hidden
  const moves = none ? [] : await listMigrations(parts.db.read, wish);
  if (!moves) throw invalidInput({ why: `Marker ${marker} not found` });
  const hosts = call.allows('os_compute_api:os-migrations:index:host');
  const roots = linkRoots(call);
  const page = { full: paged && limit > 0 && moves.length === limit, marker: moves.at(-1)?.uuid };
  const body = {
    migrations: moves.map((move) => migrationView(move, roots, hosts)),
    ...nextLink(call, 'migrations', 'os-migrations', page),
  };
  return { status: 200, body };
}

/** GET /servers/{id}/migrations: live migrations on their way.  Spec: compute api-ref "List Migrations" of a server. */
export async function listServerMigrations(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const hosts = call.allows('os_compute_api:servers:migrations:index:host', ownerOf(server));
  const moves = (await openMigrations(parts.db.read, server.uuid, 'live-migration')).filter(isInProgress);
  return { status: 200, body: { migrations: moves.map((move) => liveMigrationView(move, hosts)) } };
}

/** GET /servers/{id}/migrations/{id}. Throws migrationNotFound, migrationNotLive, migrationNotInProgress (404).  Spec: compute api-ref "Show Migration Details". */
export async function showServerMigration(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  const move = await moveOf(parts, call, server);
  const words = { id: call.params.migrationId ?? '', server: server.uuid };
  if (move.type !== 'live-migration') throw migrationNotLive(words);
  if (!isInProgress(move)) throw migrationNotInProgress(words);
  return { status: 200, body: { migration: liveMigrationView(move, true) } };
}

/** DELETE /servers/{id}/migrations/{id}: the server stays where it is. Throws migrationWrongState (400).  Spec: compute api-ref "Delete (Abort) Migration". */
export async function abortMigration(parts: ServerParts, call: Call): Promise<Reply> {
  const from = queuedMigrationsCanBeAborted(call.version) ? ['queued', 'preparing', 'running'] : ['running'];
  await wishOfMigration(parts, call, { rule: 'abortMigration', action: 'live_migration_cancel', wish: 'abort', from, word: 'abort' });
  return { status: 202 };
}

/** force_complete: it ends whatever pause that costs the guest. Throws migrationWrongState (400).  Spec: compute api-ref "Force Migration Complete Action". */
export async function forceCompleteMigration(parts: ServerParts, call: Call): Promise<Reply> {
  const how = { action: 'live_migration_force_complete', wish: 'force-complete', from: ['running'], word: 'force complete' } as const;
  await wishOfMigration(parts, call, { rule: 'forceCompleteMigration', ...how });
  return { status: 202 };
}

interface Wish {
  readonly rule: 'abortMigration' | 'forceCompleteMigration';
  readonly action: string;
  readonly wish: 'abort' | 'force-complete';
  readonly from: readonly string[];
  readonly word: string;
}
/** Writes a wish into the move's row, which its job reads; then the job is brought to a conductor's notice. */
async function wishOfMigration(parts: ServerParts, call: Call, { rule, action, wish, from, word }: Wish): Promise<void> {
  const seen = await serverOf(parts.db.read, call);
  mustAllow(rule, word, seen, call);
  const move = await moveOf(parts, call, seen);
  const refused = (state: string) => migrationWrongState({ id: String(move.id), server: seen.uuid, state, action: word });
  if (move.type !== 'live-migration' || !from.includes(move.status)) throw refused(move.status);
  await changeServer(parts, seen, (server) => {
    mustAllow(rule, word, server, call);
    return {
      set: {},
      what: 'migration-wish',
      async also(tx, now) {
        if (!(await setMigration(tx, move.uuid, { wish }, now, from))) throw refused('no longer in progress');
        await insertActions(tx, [{ serverUuid: server.uuid, action, context: jobContext(call), at: now }]);
        await wakeJobs(tx, server.uuid, 'live-migrate', now);
      },
    };
  });
  parts.bus.ring(JOBS_RING);
}

/** The move the URL names. Throws migrationNotFound (404). */
async function moveOf(parts: ServerParts, call: Call, server: Server): Promise<ServerMigration> {
  const text = call.params.migrationId ?? '';
  const id = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  const move = id === undefined ? undefined : await findMigration(parts.db.read, { id, serverUuid: server.uuid });
  if (!move) throw migrationNotFound({ id: text, server: server.uuid });
  return move;
}

function timeOf(call: Call, word: string): number | undefined {
  const text = one(call, word);
  return text === undefined || !migrationsArePaged(call.version)
    ? undefined
    : Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`) * 1000;
}
