import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bus } from '../bus/bus.ts';
import { computeEvents } from '../clients/compute-events.ts';
import { tokenCheck } from '../clients/identity.ts';
import { neighbour } from '../clients/neighbour.ts';
import { projectCheck } from '../clients/project-check.ts';
import type { Database } from '../db/engine.ts';
import type { App, TokenCheck } from '../http/app.ts';
import { type FrontDoor, openFrontDoor } from '../http/front-door.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { readAuditUnit } from '../model/audit-period.ts';
import { CHANGES_RING } from '../model/jobs.ts';
import { createComputeApp } from '../services/compute-api/app.ts';
import { openChangeHub } from '../services/compute-api/change-hub.ts';
import { readPolicyFile } from '../services/compute-api/policy-file.ts';
import { computeChoices, computeVersions } from '../services/compute-api/versions.ts';
import { createIdentityApp, type IdentityApp } from '../services/identity/app.ts';
import { defaultCatalog } from '../services/identity/catalog.ts';
import { openTokenKeys } from '../services/identity/keys.ts';
import { createImageApp } from '../services/image/app.ts';
import { createNetworkApp } from '../services/network/network-app.ts';
import { createPlacementApp } from '../services/placement/placement-app.ts';
import { createVolumeApp } from '../services/volume/app.ts';
import {
  agentPort,
  consoleAddressPort,
  consolePort,
  consoleSettings,
  diagnosticsPort,
  guestCellsPort,
  imagePort,
  imageProxy,
} from './compute-ports.ts';
import { machineName } from './hypervisor.ts';
import { type Neighbours, openNeighbours } from './neighbours.ts';
import { networkPort } from './network-port.ts';
import { tellsOutside } from './notifications.ts';
import type { Settings } from './options.ts';
import { candidateOptions, placementRulesOf } from './placement.ts';
import { plainRoutes } from './plain.ts';
import { processMetrics } from './process-metrics.ts';

export interface ApiPart {
  readonly door: FrontDoor;
  /** Base URL on this machine: http://127.0.0.1:8774. */
  readonly base: string;
  readonly neighbours: Neighbours;
  stop(): Promise<void>;
}

/** The front door with the compute API and those small services that `builtin` names. Tables must be current.
 *  Throws what `listen` throws for a port that is taken. */
export async function startApi(options: {
  settings: Settings;
  db: Database;
  bus: Bus;
  clock: Clock;
  log: Log;
  dataDir: string;
  host: string;
  port: number;
  publicUrl: string | undefined;
  servicePassword: string;
  /** A worker beside others: what concerns them all is its parent's work. */
  worker?: boolean;
}): Promise<ApiPart> {
  const { settings, db, bus, clock, log, publicUrl } = options;
  const builtin = new Set(settings.builtinServices);
  let base = '';
  const here = (path: string, elsewhere: string | null) => (elsewhere === null ? () => `${base}${path}` : elsewhere);
  const identityBase = settings.authUrl?.replace(/\/(v3)?\/?$/, '') ?? null;
  const identityUrl = here('/identity/v3', builtin.has('identity') || identityBase === null ? null : `${identityBase}/v3`);
  const neighbours = openNeighbours({
    clock,
    identityUrl,
    imageUrl: here('/image', builtin.has('image') ? null : settings.imageUrl),
    networkUrl: here('/network', builtin.has('network') ? null : settings.networkUrl),
    volumeUrl: builtin.has('volume') ? () => `${base}/volume/v3` : settings.volumeUrl,
    user: settings.authUser,
    password: options.servicePassword,
    project: settings.authProject,
  });
  const compute = neighbour({ service: 'compute', url: () => `${base}/v2.1`, token: neighbours.token });
  const events = computeEvents({ neighbour: compute, clock, log });
  const policyOverrides = settings.policyFile ? await readPolicyFile(readFileSync(settings.policyFile, 'utf8')) : {};
  const common = { db, clock, log, publicUrl };
  const apps: App[] = [];
  let identity: IdentityApp | undefined;
  if (builtin.has('identity')) {
    const types = [
      'identity',
      'compute',
      'compute_legacy',
      ...(builtin.has('image') ? ['image'] : []),
      ...(builtin.has('network') ? ['network'] : []),
      ...(builtin.has('volume') ? ['volumev3', 'block-storage'] : []),
      ...(builtin.has('placement') ? ['placement'] : []),
    ];
    identity = await createIdentityApp({
      ...common,
      keys: openTokenKeys(join(options.dataDir, 'token-keys.pem')),
      catalog: defaultCatalog({ regionName: settings.region, types }),
    });
    apps.push(identity);
  }
  const checkToken: TokenCheck =
    identity?.checkToken ?? tokenCheck({ identity: neighbour({ service: 'identity', url: identityUrl, token: neighbours.token }), clock });
  if (builtin.has('image'))
    apps.push(await createImageApp({ ...common, checkToken, storeDir: imageDir(options.dataDir), recover: !options.worker }));
  if (builtin.has('network')) apps.push(await createNetworkApp({ ...common, checkToken, tellCompute: events.tell }));
  if (builtin.has('placement')) {
    const rules = await placementRulesOf(settings, policyOverrides);
    apps.push(await createPlacementApp({ ...common, checkToken, policyOverrides: rules, candidates: candidateOptions(settings) }));
  }
  const rings = new Set<() => void>();
  const deaf = await bus.onRing(CHANGES_RING, () => {
    for (const heard of rings) heard();
  });
  const changes = openChangeHub({ db, clock, log, onRing: (heard) => rings.add(heard) });
  const tellCompute = async (events: readonly object[]): Promise<void> => {
    const headers = { 'openstack-api-version': 'compute 2.93' };
    await compute.ask('POST', '/os-server-external-events', { body: { events }, headers });
  };
  if (builtin.has('volume'))
    apps.push(
      await createVolumeApp({
        ...common,
        checkToken,
        storeDir: volumeDir(options.dataDir),
        images: neighbours.images,
        host: settings.host ?? machineName(),
        alone: !options.worker,
        grown: (tag, servers) => tellCompute(servers.map((server_uuid) => ({ name: 'volume-extended', server_uuid, tag }))),
        reimaged: (tag, servers, done) =>
          tellCompute(servers.map((server_uuid) => ({ name: 'volume-reimaged', server_uuid, tag, status: done ? 'completed' : 'failed' }))),
      }),
    );
  const imageUrlFor = (origin: string) =>
    builtin.has('image') || settings.imageUrl === null ? `${origin}/image` : settings.imageUrl.replace(/\/+$/, '');
  apps.push(
    await createComputeApp({
      parts: {
        db,
        bus,
        clock,
        log,
        changes,
        images: imagePort(neighbours.images, (id, origin) => `${imageUrlFor(origin)}/v2/images/${id}`),
        imageProxy: imageProxy(neighbours.images, imageUrlFor),
        reclaimSeconds: settings.reclaimInterval,
        resizeToSameHost: settings.resizeToSameHost,
        shelvedOffloadSeconds: settings.shelvedOffloadTime,
        ...(settings.rescueImage === null ? {} : { rescueImage: settings.rescueImage }),
        networks: networkPort(neighbours.networks),
        networking: neighbours.networks,
        volumes: neighbours.volumes,
        console: consolePort(bus),
        diagnostics: diagnosticsPort(bus),
        guestCells: guestCellsPort(bus),
        agents: agentPort(bus),
        consoleAddress: consoleAddressPort(bus),
        consoles: consoleSettings(settings),
        auditUnit: readAuditUnit(settings.usageAuditPeriod),
        tellsOutside: tellsOutside(settings),
        isProject: projectCheck(neighbour({ service: 'identity', url: identityUrl, token: neighbours.token })),
        serviceDownSeconds: settings.serviceDownTime,
        host: settings.host ?? machineName(),
        quotas: {
          instances: settings.quotaInstances,
          cores: settings.quotaCores,
          ram: settings.quotaRam,
          metadata_items: settings.quotaMetadataItems,
          injected_files: settings.quotaInjectedFiles,
          injected_file_content_bytes: settings.quotaInjectedFileBytes,
          injected_file_path_bytes: settings.quotaInjectedPathBytes,
          key_pairs: settings.quotaKeyPairs,
          server_groups: settings.quotaServerGroups,
          server_group_members: settings.quotaServerGroupMembers,
        },
      },
      checkToken,
      policyOverrides,
      log,
      publicUrl,
      identityUrl: builtin.has('identity') || identityBase === null ? (origin) => `${origin}/identity` : identityBase,
    }),
  );
  const door = await openFrontDoor({
    apps,
    plain: plainRoutes({
      publicUrl,
      versions: computeVersions,
      choices: computeChoices,
      metrics: processMetrics(),
      metricsToken: settings.metricsToken || null,
      health: async () => ({
        database: await db.read
          .selectFrom('leases')
          .select('name')
          .limit(1)
          .execute()
          .then(
            () => null,
            () => 'does not answer',
          ),
        bus: bus.healthy() ? null : 'does not answer',
      }),
    }),
    host: options.host,
    port: options.port,
  });
  base = `http://${localName(options.host)}:${door.address.port}`;
  return {
    door,
    base,
    neighbours,
    async stop() {
      await deaf();
      await door.close();
      for (const app of apps) await app.close();
      await neighbours.close();
    },
  };
}

/** Refuses API names of enabled_apis that are not served, and neighbours that nobody names. */
export function mustBeServed(settings: Settings): void {
  for (const api of settings.enabledApis) {
    if (api === 'ec2')
      throw new Error(
        'enabled_apis names ec2: the EC2 API left Nova in 13.0.0 and is not served here. Take it out of the list. Served: osapi_compute, metadata.',
      );
    if (api !== 'osapi_compute' && api !== 'metadata')
      throw new Error(`enabled_apis names ${api}, which is not served. Served: osapi_compute, metadata.`);
  }
  const away = { identity: settings.authUrl, image: settings.imageUrl, network: settings.networkUrl };
  const names = { identity: '[keystone_authtoken] auth_url', image: '[glance] endpoint_override', network: '[neutron] endpoint_override' };
  for (const name of ['identity', 'image', 'network'] as const)
    if (!settings.builtinServices.includes(name) && away[name] === null)
      throw new Error(`builtin_services leaves out ${name}, so ${names[name]} must say where it is.`);
  for (const name of settings.builtinServices)
    if (name !== 'volume' && name !== 'placement' && !Object.hasOwn(names, name))
      throw new Error(`builtin_services names ${name}, which is none of identity, image, network, volume, placement.`);
}

export const imageDir = (dataDir: string): string => join(dataDir, 'images');
export const volumeDir = (dataDir: string): string => join(dataDir, 'volumes');

/** The address by which this machine itself reaches a listener. */
export function localName(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
