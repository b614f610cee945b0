import { FINISHED, insertMigration, newMigrationUuid, openMigrations, setMigration } from '../../db/tables/compute/migrations.ts';
import { limitsWithUser } from '../../db/tables/compute/quota-limits.ts';
import { takeQuota, userQuotaShort } from '../../db/tables/compute/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { flavorMemoryTooSmall } from '../../model/errors-compute.ts';
import {
  diskCannotShrink,
  moveHostUnknown,
  moveToSelf,
  notResized,
  sameFlavor,
  sourceDown,
  zeroDiskResize,
} from '../../model/errors-moves.ts';
import type { Flavor, Server } from '../../model/server.ts';
import { overQuota, Short } from './accept.ts';
import { hostFacts, ownerOf, serverOf } from './server-find.ts';
import { defaultLimits, type ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import { wishedFlavor } from './server-wish.ts';
import type { Migrate, Resize } from './shapes/server-moves.ts';
import { isVolumeBacked } from './volume-backed.ts';

/** resize: another flavor, on another host as a rule; waits for a confirm or revert. The quota's difference is taken here, at once.
 *  Throws sameFlavor, diskCannotShrink (400), quotaExceeded (403), sourceDown (409).  Spec: compute api-ref "Resize Server". */
export async function resizeServer(parts: ServerParts, call: Call<Resize>): Promise<Reply> {
  const wish = call.body.resize;
  const seen = await serverOf(parts.db.read, call);
  mustAllow('resize', 'resize', seen, call);
  const flavor = await wishedFlavor(parts.db.read, call, wish.flavorRef);
  mustBeResizable(seen, flavor);
  await mustBeUp(parts, seen);
  await begin(parts, call, seen, { rule: 'resize', flavor, host: null, set: wish['OS-DCF:diskConfig'] });
  return { status: 202 };
}

/** migrate: to another host while it is off, as a resize to the same flavor. Throws moveHostUnknown, moveToSelf (400), sourceDown (409).
 *  Spec: compute api-ref "Migrate Server". */
export async function migrateServer(parts: ServerParts, call: Call<Migrate>): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const host = hostIn(call.body.migrate);
  if (host !== null) call.allow(ownerOf(seen), 'os_compute_api:os-migrate-server:migrate:host');
  mustAllow('migrate', 'migrate', seen, call);
  if (host !== null) await mustBeOtherHost(parts, seen, host);
  await mustBeUp(parts, seen);
  await begin(parts, call, seen, { rule: 'migrate', flavor: null, host, set: undefined });
  return { status: 202 };
}
const hostIn = (wish: unknown): string | null => {
  const host = wish !== null && typeof wish === 'object' ? (wish as { host?: unknown }).host : null; // its shape is checked from 2.56 on
  return typeof host === 'string' ? host : null;
};

interface Move {
  readonly rule: 'resize' | 'migrate';
  readonly flavor: Flavor | null;
  readonly host: string | null;
  readonly set: 'AUTO' | 'MANUAL' | undefined;
}
async function begin(parts: ServerParts, call: Call<unknown>, seen: Server, move: Move): Promise<void> {
  const { rule, flavor, host } = move;
  const { project: limits, user: own } = await limitsWithUser(parts.db.read, defaultLimits(parts), seen.projectId, seen.userId);
  const migrationUuid = newMigrationUuid();
  try {
    await beginTask(parts, call, seen, (server) => {
      mustAllow(rule, rule, server, call);
      if (flavor) mustBeResizable(server, flavor);
      const sameHost = flavor !== null && (parts.resizeToSameHost ?? false);
      return {
        taskState: 'resize_prep',
        actionName: rule,
        kind: 'move-server',
        input: { serverUuid: server.uuid, migrationUuid, flavor, host, sameHost, vmStateBefore: server.vmState },
        set: { progress: 0, ...(move.set === undefined ? {} : { disk_config: move.set }) },
        async also(tx, now) {
          if (flavor) {
            const more = (now: number, before: number) => Math.max(0, now - before);
            const share = {
              instances: 0,
              cores: more(flavor.vcpus, server.flavor.vcpus),
              ram: more(flavor.memoryMiB, server.flavor.memoryMiB),
            };
            const short =
              (await takeQuota(tx, parts.db.kind, server.projectId, share, limits)) ??
              (await userQuotaShort(tx, server.projectId, server.userId, share, own));
            if (short) throw new Short(short);
          }
          const type = flavor ? 'resize' : 'migration';
          await insertMigration(tx, {
            uuid: migrationUuid,
            server,
            userId: call.caller.userId,
            type,
            status: 'pre-migrating',
            newFlavor: flavor,
            at: now,
          });
        },
      };
    });
  } catch (cause) {
    if (cause instanceof Short) throw overQuota(cause.short);
    throw cause;
  }
}

function mustBeResizable(server: Server, flavor: Flavor): void {
  if (flavor.flavorId === server.flavor.flavorId) throw sameFlavor({});
  if (isVolumeBacked(server)) return;
  if (flavor.rootGiB === 0 && server.flavor.rootGiB !== 0) throw zeroDiskResize({});
  if (flavor.rootGiB < server.flavor.rootGiB || flavor.ephemeralGiB < server.flavor.ephemeralGiB) throw diskCannotShrink({});
  if (server.image && flavor.memoryMiB < server.image.minMemoryMiB) throw flavorMemoryTooSmall({});
}

/** Throws sourceDown (409) when nobody listens on the server's host. */
export async function mustBeUp(parts: ServerParts, server: Server): Promise<void> {
  const facts = server.host === null ? undefined : (await hostFacts(parts, [server.host])).get(server.host);
  if (facts?.status !== 'UP' && facts?.status !== 'MAINTENANCE') throw sourceDown({ host: server.host });
}

/** Throws moveToSelf and moveHostUnknown (400). */
export async function mustBeOtherHost(parts: ServerParts, server: Server, host: string, unknown = moveHostUnknown): Promise<void> {
  if (host === server.host) throw moveToSelf({ host });
  const known = await parts.db.read.selectFrom('hypervisors').select('id').where('host', '=', host).executeTakeFirst();
  if (!known) throw unknown({ host });
}

/** confirmResize: 204 though it goes on after the answer, as in Nova. Throws notResized (400).  Spec: compute api-ref "Confirm Resized Server". */
export async function confirmResize(parts: ServerParts, call: Call): Promise<Reply> {
  await endResize(parts, call, { rule: 'confirmResize', kind: 'confirm-resize', status: 'confirming', taskState: null });
  return { status: 204 };
}

/** revertResize. Throws notResized (400).  Spec: compute api-ref "Revert Resized Server". */
export async function revertResize(parts: ServerParts, call: Call): Promise<Reply> {
  await endResize(parts, call, { rule: 'revertResize', kind: 'revert-resize', status: 'reverting', taskState: 'resize_reverting' });
  return { status: 202 };
}

interface End {
  readonly rule: 'confirmResize' | 'revertResize';
  readonly kind: 'confirm-resize' | 'revert-resize';
  readonly status: string;
  readonly taskState: string | null;
}
/** Whoever turns the move's status first has it: a second request finds nothing to end. */
async function endResize(parts: ServerParts, call: Call, { rule, kind, status, taskState }: End): Promise<void> {
  const seen = await serverOf(parts.db.read, call);
  mustAllow(rule, rule, seen, call);
  const move = (await openMigrations(parts.db.read, seen.uuid)).find((one) => one.status === FINISHED);
  if (!move) throw notResized({});
  await beginTask(parts, call, seen, (server) => {
    mustAllow(rule, rule, server, call);
    return {
      taskState,
      actionName: rule,
      kind,
      input: { serverUuid: server.uuid, migrationUuid: move.uuid },
      async also(tx, now) {
        if (!(await setMigration(tx, move.uuid, { status }, now, [FINISHED]))) throw notResized({});
      },
    };
  });
}
