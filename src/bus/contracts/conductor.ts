import { ask, tell } from '../bus.ts';
import { type Static, Type } from '../schema.ts';
import { HostName, Micros, NetworkInfoItem, nullable, PowerStateName, Uuid, Wire } from './wire.ts';

const HypervisorReportShape = Type.Object({
  hypervisorHostname: HostName,
  hypervisorType: Type.String(),
  hypervisorVersion: Type.Integer(),
  hostIp: Type.String(),
  cpuInfo: Type.Object({}),
  supportedInstances: Type.Array(Type.Array(Type.String())),
  traits: Type.Array(Type.String()),
  vcpus: Type.Integer(),
  memoryMiB: Type.Integer(),
  diskGiB: Type.Integer(),
  diskFreeGiB: Type.Integer(),
  uptime: nullable(Type.String()),
  stats: Type.Record(Type.Unknown()),
});

/** Which agent speaks: its epoch was given at registration, and reports under an older one are refused. */
const sender = { host: HostName, hostUuid: Uuid, epoch: Type.Integer() };

/** A server that the cloud says stands on this host. */
export const Owned = Type.Object({
  uuid: Uuid,
  epoch: Type.Integer(),
  vmState: Type.String(),
  taskState: nullable(Type.String()),
  powerState: Type.Integer(),
});
export type Owned = Static<typeof Owned>;

/** The guests an agent knows of; the answer names those whose servers are deleted for good, and since when. */
const known = Type.Array(Uuid);
const Gone = Type.Object({ uuid: Uuid, at: Micros });
export type Gone = Static<typeof Gone>;

/** What an agent has to say of one guest; kept in its journal and repeated until the answer says it was recorded. */
export const AgentReport = Type.Object({
  kind: Type.Enum('built', 'build-failed', 'destroyed', 'deed', 'power'),
  /** Null for what happened by itself (`power`). */
  jobUuid: nullable(Uuid),
  uuid: Uuid,
  epoch: Type.Integer(),
  startedAt: Micros,
  finishedAt: Micros,
  error: nullable(Wire),
  networkInfo: nullable(Type.Array(NetworkInfoItem)),
  /** How long each part took; `details` says e.g. whether the image was cached. */
  phases: Type.Array(Type.Object({ name: Type.String(), startedAt: Micros, finishedAt: Micros, details: nullable(Type.String()) })),
  power: nullable(PowerStateName),
  details: nullable(Type.String()),
  /** Of a deed: the step of the job that asked for it, and what the deed answers. */
  step: nullable(Type.String()),
  result: nullable(Type.Record(Type.Unknown())),
});
export type AgentReport = Static<typeof AgentReport>;

/** 'recorded': done with. 'stale': that guest is not this host's under that epoch; the agent puts it away. */
export const Verdict = Type.Enum('recorded', 'stale');
export type Verdict = Static<typeof Verdict>;

/** What may be sent to the conductors; any one of them takes it. */
export const conductorContract = {
  receiver: 'conductor',
  messages: {
    /** An agent takes its host: compare-and-set of the epoch. Throws hostTaken, staleAgent. */
    registerHost: ask(
      Type.Object({ ...sender, bootId: Uuid, known, report: HypervisorReportShape }),
      Type.Object({
        epoch: Type.Integer(),
        ratios: Type.Object({ vcpu: Type.Number(), memory: Type.Number(), disk: Type.Number() }),
        reserved: Type.Object({ vcpu: Type.Integer(), memoryMiB: Type.Integer(), diskGiB: Type.Integer() }),
        owned: Type.Array(Owned),
        deleted: Type.Array(Gone),
        /** Servers on a move from or to this host: what is here of them stays. */
        held: Type.Array(Uuid),
      }),
    ),
    /** What stands on this host. Throws staleAgent. */
    listOwned: ask(
      Type.Object({ ...sender, known }),
      Type.Object({ owned: Type.Array(Owned), deleted: Type.Array(Gone), held: Type.Array(Uuid) }),
    ),
    /** "I live", with the inventory when it changed. */
    reportHost: tell(Type.Object({ ...sender, at: Micros, report: nullable(HypervisorReportShape) })),
    /** Liveness of a service that has no database of its own. */
    reportService: tell(Type.Object({ host: HostName, binary: Type.String() })),
    /** Where a long deed stands, for the server's task state; may be lost. */
    reportProgress: tell(Type.Object({ ...sender, jobUuid: Uuid, uuid: Uuid, serverEpoch: Type.Integer(), taskState: Type.String() })),
    /** How far a live migration is, in bytes; may be lost. */
    reportBytes: tell(
      Type.Object({
        ...sender,
        uuid: Uuid,
        bytes: Type.Object({
          memoryTotal: Type.Number(),
          memoryProcessed: Type.Number(),
          memoryRemaining: Type.Number(),
          diskTotal: Type.Number(),
          diskProcessed: Type.Number(),
          diskRemaining: Type.Number(),
        }),
      }),
    ),
    /** What guests read from and wrote to their volumes since they began to; may be lost. */
    reportVolumeUsage: tell(
      Type.Object({
        ...sender,
        at: Micros,
        uses: Type.Array(
          Type.Object({
            serverUuid: Uuid,
            volumeId: Type.String(),
            reads: Type.Number(),
            readBytes: Type.Number(),
            writes: Type.Number(),
            writeBytes: Type.Number(),
          }),
        ),
      }),
    ),
    /** Has the hosts of an aggregate fetch images, and tells how it goes on each; given up when the conductor ends. */
    cacheImages: tell(Type.Object({ aggregateId: Type.Integer(), imageIds: Type.Array(Uuid) })),
    /** Something worth showing in a server's history after it was built ('metadata': its first metadata request); may be lost. */
    noteEvent: tell(Type.Object({ ...sender, uuid: Uuid, serverEpoch: Type.Integer(), event: Type.String({ maxLength: 50 }), at: Micros })),
    /** Outcomes, in order; answers one verdict for each. Throws staleAgent. */
    recordReports: ask(Type.Object({ ...sender, reports: Type.Array(AgentReport) }), Type.Object({ verdicts: Type.Array(Verdict) })),
  },
} as const;
