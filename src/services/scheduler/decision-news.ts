import { type Announcer, tellSoon } from '../../bus/announcer.ts';
import type { HostAnswer, HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Database } from '../../db/engine.ts';
import { toServer } from '../../db/tables/compute/servers.ts';
import type { Clock, Micros } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { notice } from '../../model/notices.ts';
import { legacyRequestSpec, requestSpecPayload } from '../../model/notices-of-requests.ts';

interface Parts {
  readonly db: Pick<Database, 'read'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly host: string;
  readonly announcer: Announcer;
}

/** Tells what was asked of this scheduler: that it was asked, and, unless the request itself failed, that it has answered. Nobody who asks waits for it.
 *  Spec: notification guide, scheduler.select_destinations. */
export function openDecisionNews({ db, clock, log, host, announcer }: Parts) {
  const soon = tellSoon(clock, (cause) => log.warn({ err: cause }, 'a decision could not be told'));
  const event = 'scheduler.select_destinations';
  return {
    /** `fresh`: the last word. Who finds no host on older facts asks once more at once, and only that is told. */
    decided(
      requests: readonly HostRequest[],
      answers: readonly HostAnswer[],
      { begun, ended, fresh }: { readonly begun: Micros; readonly ended: Micros; readonly fresh: boolean },
    ): void {
      soon.say(async () => {
        const uuids = requests.map((request) => request.serverUuid);
        const rows = await db.read.selectFrom('servers').selectAll().where('uuid', 'in', uuids).execute();
        const servers = new Map(rows.map((row) => [row.uuid, toServer(row)]));
        for (const [at, request] of requests.entries()) {
          const server = servers.get(request.serverUuid);
          const found = (answers[at]?.hosts.length ?? 0) > 0;
          if (!server || !(found || fresh)) continue;
          const { flavor, amounts } = request;
          // A resize asks for the new flavor; what only its row says is the old one's.
          const named = flavor && { flavorId: flavor.id, name: flavor.name, rootGiB: flavor.rootGiB, ephemeralGiB: flavor.ephemeralGiB };
          const sizes = { vcpus: amounts.VCPU, memoryMiB: amounts.MEMORY_MB, extraSpecs: request.extraSpecs };
          const asked = {
            flavor: named ? { ...server.flavor, ...named, ...sizes, swapMiB: flavor.swapMiB } : server.flavor,
            availabilityZone: request.availabilityZone,
            forcedHost: request.forcedHost,
            forcedNode: request.forcedNode,
            requestedHost: request.requestedHost,
            requestedNode: request.requestedHypervisor,
            excludedHosts: request.excludedHosts,
            group: request.group,
          };
          const payload = requestSpecPayload(server, asked);
          const tell = (phase: 'start' | 'end', when: Micros) => {
            const legacy = { event: `${event}.${phase}`, publisher: `scheduler.${host}`, payload: legacyRequestSpec(server, asked) };
            return announcer.tell(notice(`nova-scheduler:${host}`, `${event}.${phase}`, payload), when, legacy);
          };
          await tell('start', begun);
          // As in Nova: one that found no host throws before its end is told.
          if (found) await tell('end', ended);
        }
      });
    },
    stop: soon.stop,
  };
}
