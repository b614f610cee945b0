import { ask } from '../bus.ts';
import { type Static, Type } from '../schema.ts';
import { AmountsShape, HostName, nullable, Uuid, Wire, Words } from './wire.ts';

/** One server that needs a host. */
export const HostRequest = Type.Object({
  serverUuid: Uuid,
  projectId: Type.String(),
  amounts: AmountsShape,
  /** The flavor behind the amounts, for filters that look at its parts. */
  flavor: nullable(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      rootGiB: Type.Number(),
      ephemeralGiB: Type.Number(),
      swapMiB: Type.Number(),
    }),
  ),
  image: nullable(Type.Object({ id: Type.String(), diskFormat: Type.String() })),
  extraSpecs: Words,
  imageProperties: Words,
  availabilityZone: nullable(Type.String()),
  /** Forced: taken as it is, no filter is asked; its capacity still counts. Names compare without case, as in Nova. */
  forcedHost: nullable(Type.String()),
  forcedNode: nullable(Type.String()),
  /** Requested: only this host, and the filters are asked. */
  requestedHost: nullable(Type.String()),
  requestedHypervisor: nullable(Type.String()),
  /** Hosts on which a build failed. */
  excludedHosts: Type.Array(Type.String()),
  group: nullable(
    Type.Object({
      uuid: Uuid,
      policy: Type.String(),
      maxPerHost: Type.Integer(),
      /** Members by host, as counted in the database. */
      hosts: Type.Record(Type.Integer()),
    }),
  ),
  schedulerHints: Type.Record(Type.Unknown()),
  /** The server stands there already and gets another image: only filters that concern it are asked. With a forced host: it is moved there by force,
   *  and nothing is asked but room. */
  rebuild: Type.Boolean(),
  /** How many hosts to name at most. */
  limit: Type.Integer({ minimum: 1 }),
});
export type HostRequest = Static<typeof HostRequest>;

export const ReasonCount = Type.Object({ why: Type.String(), hosts: Type.Integer() });
export const DecisionReasons = Type.Object({
  /** Hosts that were looked at. */
  seen: Type.Integer(),
  /** In the order asked; `reasons` only when nothing was left. */
  filters: Type.Array(
    Type.Object({ name: Type.String(), before: Type.Integer(), after: Type.Integer(), reasons: Type.Array(ReasonCount) }),
  ),
  /** For operators: the host that came furthest and what it lacked. */
  nearestMiss: nullable(Type.Object({ host: HostName, why: Type.String() })),
  /** What to ask for instead, without naming hosts. */
  smallestChange: nullable(Type.String()),
});
export type DecisionReasons = Static<typeof DecisionReasons>;

export const HostAnswer = Type.Object({
  /** Best first; empty: refused, and `reasons` say why. */
  hosts: Type.Array(Type.Object({ host: HostName, node: HostName, provider: Uuid, weight: Type.Number() })),
  reasons: DecisionReasons,
  /** Nothing was decided: the request itself, or a filter about it, failed. */
  failed: nullable(Wire),
  seed: Type.Integer(),
  feedPosition: Type.Integer(),
  configHash: Type.String(),
});
export type HostAnswer = Static<typeof HostAnswer>;

/** Hosts of one decision, best first, each with every weigher's part in its weight; then those refused, with the question that did. */
export const DecisionTable = Type.Object({
  seen: Type.Integer(),
  passed: Type.Integer(),
  ranked: Type.Array(
    Type.Object({
      host: HostName,
      weight: Type.Number(),
      weighers: Type.Array(
        Type.Object({
          name: Type.String(),
          raw: Type.Number(),
          normalized: Type.Number(),
          multiplier: Type.Number(),
          product: Type.Number(),
        }),
      ),
    }),
  ),
  refused: Type.Array(Type.Object({ host: HostName, filter: Type.String(), why: Type.String() })),
});
export type DecisionTable = Static<typeof DecisionTable>;

/** The smallest change after which a refused request fits. */
export const Advice = Type.Object({
  /** What to ask for instead; null: the same. */
  request: nullable(HostRequest),
  /** For operators: the host whose service must be enabled and up first. */
  host: nullable(HostName),
  /** For operators: no host that is there helps; one of at least these amounts must be added. */
  add: nullable(
    Type.Object({
      amounts: AmountsShape,
      zone: nullable(Type.String()),
      /** What it must be able to do. */
      traits: Type.Array(Type.String()),
      /** Metadata of an aggregate it must be in. */
      aggregate: nullable(Words),
      /** It must be one of [filter_scheduler] isolated_hosts. */
      isolated: Type.Boolean(),
    }),
  ),
  text: Type.String(),
  /** The same without hosts' names. */
  tenantText: Type.String(),
});
export type Advice = Static<typeof Advice>;

/** What may be asked of the schedulers. They only read and advise; the conductor claims. */
export const schedulerContract = {
  receiver: 'scheduler',
  messages: {
    /** One answer for each request, in order. `fresh`: look at the database again first. Throws schedulerFilterFailed. */
    selectHosts: ask(
      Type.Object({ requests: Type.Array(HostRequest), fresh: Type.Boolean() }),
      Type.Object({ answers: Type.Array(HostAnswer) }),
    ),
    /** The table of a decision of earlier, on the hosts as they were. Null: that is past what the asked scheduler keeps, or was another's decision. */
    explainDecision: ask(
      Type.Object({
        request: HostRequest,
        seed: Type.Integer(),
        configHash: Type.String(),
        chosen: Type.Array(Type.Object({ host: HostName, weight: Type.Number() })),
        /** How many hosts each question left. */
        filters: Type.Array(Type.Object({ name: Type.String(), before: Type.Integer(), after: Type.Integer() })),
        limit: Type.Integer({ minimum: 1 }),
      }),
      Type.Object({ table: nullable(DecisionTable), advice: nullable(Advice) }),
    ),
    /** Where so many servers would go now; nothing is kept of it. `advice` when one of them would go nowhere. Throws schedulerFilterFailed. */
    dryRun: ask(
      Type.Object({ request: HostRequest, count: Type.Integer({ minimum: 1 }), limit: Type.Integer({ minimum: 1 }) }),
      Type.Object({ answers: Type.Array(HostAnswer), table: DecisionTable, advice: nullable(Advice) }),
    ),
  },
} as const;
