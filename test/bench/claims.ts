import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openDatabase } from '../../src/db/open.ts';
import { insertRows } from '../../src/db/prepared.ts';
import { placeServer } from '../../src/db/tables/compute/placing.ts';
import { newServerRow } from '../../src/db/tables/compute/servers.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { CELL_UUID } from '../../src/model/server.ts';
import { requires } from '../requires.ts';
import { startMariadb } from '../servers/mariadb.ts';
import { startPostgres } from '../servers/postgres.ts';
import { figure } from './figure.ts';

const HOSTS = 100;
const CLAIMS = 4000;
const TOGETHER = 32;
const PROJECT = 'a'.repeat(32);
const amounts = { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 };

/** Claims of servers on hosts, each in a transaction of its own with the server's row and its line of the change feed, as the conductor makes them. */
export async function benchClaims(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
  try {
    await claims(`sqlite:///${join(dir, 'cloud.db')}`, 'sqlite, WAL, synchronous=NORMAL');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  for (const [need, start] of [
    ['mariadb', startMariadb],
    ['postgres', startPostgres],
  ] as const) {
    const lacking = requires(need);
    if (lacking) {
      console.error(`# claims on ${need} not measured: ${lacking}`);
      continue;
    }
    const server = await start();
    try {
      await claims(server.url, need);
    } finally {
      await server.stop();
    }
  }
}

async function claims(url: string, database: string): Promise<void> {
  const db = await openDatabase({ url, poolSize: 8 });
  try {
    await migrate(db);
    const providers = await fill(db);
    const servers = await makeServers(db);
    let next = 0;
    let lost = 0;
    const from = performance.now();
    await Promise.all(
      Array.from({ length: TOGETHER }, async () => {
        while (next < servers.length) {
          const server = { uuid: servers[next++]!, projectId: PROJECT, userId: PROJECT, epoch: 0 };
          const place = providers[next % providers.length]!;
          const set = { taskState: null, deadline: 0, at: 1 };
          const epoch = await db.transaction((tx) => placeServer(tx, db.kind, server, amounts, undefined, place, set));
          if (epoch === null) lost++;
        }
      }),
    );
    const seconds = (performance.now() - from) / 1000;
    if (lost > 0) throw new Error(`${lost} claims were refused where there was room`);
    figure('scheduler.claims', CLAIMS / seconds, '1/s', {
      database,
      hosts: HOSTS,
      together: TOGETHER,
      transaction: 'claim of 3 classes, server row, change row',
      claims: CLAIMS,
    });
  } finally {
    await db.close();
  }
}

async function fill(db: Database) {
  const providers = Array.from({ length: HOSTS }, (_, at) => ({ provider: newUuid(), host: `host-${at}`, node: `host-${at}` }));
  await db.transaction(async (tx) => {
    const times = { created_at: 1, updated_at: 1 };
    for (const { provider: uuid, host: name } of providers) {
      await insertRows(tx, 'resource_providers', [{ uuid, name, generation: 0, root_uuid: uuid, parent_uuid: null, ...times }]);
      const sizes = { total: 1_000_000, reserved: 0, min_unit: 1, max_unit: 1_000_000, step_size: 1 };
      await insertRows(
        tx,
        'inventories',
        Object.keys(amounts).map((resource_class) => ({
          provider_uuid: uuid,
          resource_class,
          ...sizes,
          allocation_ratio: 1,
          capacity: 1_000_000,
          used: 0,
        })),
      );
    }
  });
  return providers;
}

async function makeServers(db: Database): Promise<string[]> {
  const uuids = Array.from({ length: CLAIMS }, newUuid);
  const flavor = {
    id: 1,
    flavorId: '1',
    name: 'm1.tiny',
    vcpus: 1,
    memoryMiB: 512,
    rootGiB: 1,
    ephemeralGiB: 0,
    swapMiB: 0,
    rxtxFactor: 1,
    isPublic: true,
    disabled: false,
    description: null,
    extraSpecs: {},
  };
  const rowOf = (uuid: string) =>
    newServerRow(
      {
        uuid,
        reservationId: 'r-1',
        projectId: PROJECT,
        userId: PROJECT,
        name: uuid,
        description: null,
        hostname: 'server',
        vmState: 'building',
        taskState: 'scheduling',
        powerState: 0,
        progress: 0,
        host: null,
        node: null,
        launchedOn: null,
        cellUuid: CELL_UUID,
        epoch: 0,
        flavor,
        image: null,
        imageId: null,
        keyName: null,
        keyData: null,
        userData: null,
        configDrive: '',
        availabilityZone: null,
        accessIpV4: null,
        accessIpV6: null,
        diskConfig: 'MANUAL',
        rootDeviceName: null,
        launchIndex: 0,
        metadata: {},
        requestedNetworks: 'auto',
        securityGroups: [],
        networkInfo: [],
        schedulerHints: {},
        trustedCerts: null,
        fault: null,
        locked: false,
        lockedReason: null,
        volumes: [],
        createdAt: 1,
        updatedAt: 1,
      },
      null,
    );
  for (let at = 0; at < uuids.length; at += 20)
    await db.transaction(async (tx) => {
      await insertRows(tx, 'servers', uuids.slice(at, at + 20).map(rowOf));
    });
  return uuids;
}
