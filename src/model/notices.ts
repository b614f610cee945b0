import type { Flavor } from './server.ts';

/** One event as listeners outside are told of it. Those of anything but servers lie in a change's body and are sent as they are: the rows may be gone by then. */
export interface Notice {
  /** 'flavor.create' */
  readonly event: string;
  readonly priority: 'INFO' | 'ERROR';
  /** 'nova-api:<host>' */
  readonly publisher: string;
  readonly payload: object;
}
export const notice = (publisher: string, event: string, payload: object): Notice => ({ event, priority: 'INFO', publisher, payload });

/** The same news in the unversioned form, for who still reads that. */
export interface LegacyNotice {
  /** 'compute.instance.exists' */
  readonly event: string;
  /** 'compute.<host>' */
  readonly publisher: string;
  readonly payload: object;
}

/** A payload in the form consumers unpack.  Spec: notification guide, "Versioned notifications". */
export const novaObject = (name: string, version: string, data: object) => ({
  'nova_object.name': name,
  'nova_object.namespace': 'nova',
  'nova_object.version': version,
  'nova_object.data': data,
});

/** Times inside payloads: whole seconds of UTC, out of microseconds. */
export const seconds = (at: number | null): string | null => (at === null ? null : `${new Date(at / 1000).toISOString().slice(0, 19)}Z`);

/** What a flavor gives, under its names in notifications of every form. */
export const flavorFigures = (flavor: Omit<Flavor, 'id'>) => ({
  flavorid: flavor.flavorId,
  name: flavor.name,
  memory_mb: flavor.memoryMiB,
  vcpus: flavor.vcpus,
  root_gb: flavor.rootGiB,
  ephemeral_gb: flavor.ephemeralGiB,
  swap: flavor.swapMiB,
  extra_specs: flavor.extraSpecs,
});

/** Projects: those that may use a private flavor; null where nobody has looked.  Spec: notification object FlavorPayload 1.4. */
export const flavorPayload = (flavor: Omit<Flavor, 'id'>, projects: readonly string[] | null = null) =>
  novaObject('FlavorPayload', '1.4', {
    ...flavorFigures(flavor),
    rxtx_factor: flavor.rxtxFactor,
    vcpu_weight: 0,
    disabled: flavor.disabled,
    is_public: flavor.isPublic,
    projects,
    description: flavor.description,
  });

/** Before a pair is made neither half nor fingerprint is there.  Spec: notification object KeypairPayload 1.0. */
export const keypairPayload = (keypair: {
  readonly userId: string;
  readonly name: string;
  readonly type: string;
  readonly fingerprint: string | null;
  readonly publicKey: string | null;
}) =>
  novaObject('KeypairPayload', '1.0', {
    user_id: keypair.userId,
    name: keypair.name,
    fingerprint: keypair.fingerprint,
    public_key: keypair.publicKey,
    type: keypair.type,
  });

/** Spec: notification object ServerGroupPayload 1.1. */
export const serverGroupPayload = (group: {
  readonly uuid: string;
  readonly name: string;
  readonly projectId: string;
  readonly userId: string;
  readonly policy: string;
  readonly rules: { readonly max_server_per_host?: number };
  readonly members: readonly string[];
}) =>
  novaObject('ServerGroupPayload', '1.1', {
    uuid: group.uuid,
    name: group.name,
    project_id: group.projectId,
    user_id: group.userId,
    policies: [group.policy],
    policy: group.policy,
    // Nova keeps rules as texts.
    rules: Object.fromEntries(Object.entries(group.rules).map(([name, value]) => [name, String(value)])),
    members: group.members,
    hosts: null,
  });

/** `id` and `hosts` are null before it is made.  Spec: notification object AggregatePayload 1.1. */
export const aggregatePayload = (aggregate: {
  readonly id: number | null;
  readonly uuid: string;
  readonly name: string;
  readonly hosts: readonly string[] | null;
  readonly metadata: Readonly<Record<string, string>>;
}) =>
  novaObject('AggregatePayload', '1.1', {
    id: aggregate.id,
    uuid: aggregate.uuid,
    name: aggregate.name,
    hosts: aggregate.hosts,
    metadata: aggregate.metadata,
  });

/** The version of services that consumers compare with Nova's own; services here are all of one version. */
const SERVICE_VERSION = 73;
/** Spec: notification object ServiceStatusPayload 1.1. */
export const servicePayload = (service: {
  readonly uuid: string;
  readonly host: string;
  readonly binary: string;
  readonly topic: string;
  readonly disabled: boolean;
  readonly disabledReason: string | null;
  readonly forcedDown: boolean;
  /** Microseconds. */
  readonly lastSeenAt: number | null;
  readonly reportCount: number;
}) =>
  novaObject('ServiceStatusPayload', '1.1', {
    uuid: service.uuid,
    host: service.host,
    binary: service.binary,
    topic: service.topic,
    disabled: service.disabled,
    disabled_reason: service.disabledReason,
    forced_down: service.forcedDown,
    version: SERVICE_VERSION,
    availability_zone: null,
    last_seen_up: seconds(service.lastSeenAt),
    report_count: service.reportCount,
  });
