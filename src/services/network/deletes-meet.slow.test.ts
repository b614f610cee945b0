import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { requires } from '../../../test/requires.ts';
import { startMariadb } from '../../../test/servers/mariadb.ts';
import { startPostgres } from '../../../test/servers/postgres.ts';
import { giveQuota } from '../../db/tables/network/quotas.ts';
import { type NetworkHouse, openNetworkHouse } from './cloud-for-tests.ts';

// SQLite has one writer at a time. On the others a part may be deleted by itself while its whole is deleted with all its parts: its quota goes back once.

const PROJECT = 'alice-project';
const engines = {
  postgres: {
    start: startPostgres,
    waiting: sql<{ n: number }>`select count(*) as n from pg_stat_activity where wait_event_type = 'Lock'`,
  },
  mariadb: {
    start: startMariadb,
    waiting: sql<{ n: number }>`select count(*) as n from information_schema.innodb_trx where trx_state = 'LOCK WAIT'`,
  },
} as const;
const parts = [
  {
    resource: 'security_group_rule',
    table: 'net_security_group_rules',
    async make(house: NetworkHouse) {
      const made = (await house.ask('alice', 'POST', '/v2.0/security-groups', { security_group: { name: 'g' } })).body.security_group;
      return { whole: `/v2.0/security-groups/${made.id}`, part: made.security_group_rules[0].id };
    },
  },
  {
    resource: 'subnet',
    table: 'net_subnets',
    async make(house: NetworkHouse) {
      const { id } = (await house.ask('alice', 'POST', '/v2.0/networks', { network: { name: 'n' } })).body.network;
      const wish = { network_id: id, cidr: '10.7.0.0/24', ip_version: 4 };
      const made = (await house.ask('alice', 'POST', '/v2.0/subnets', { subnet: wish })).body.subnet;
      return { whole: `/v2.0/networks/${id}`, part: made.id };
    },
  },
] as const;

for (const [kind, { start, waiting }] of Object.entries(engines))
  test(`${kind}: what is deleted with its whole and by itself at once is given back once`, {
    skip: requires(kind as 'postgres' | 'mariadb'),
  }, async () => {
    const server = await start();
    const { port, pathname } = new URL(server.url);
    // Only root sees who waits.
    const house = await openNetworkHouse({ url: kind === 'mariadb' ? `mysql://root@127.0.0.1:${port}${pathname}` : server.url });
    try {
      for (const { resource, table, make } of parts) {
        const { whole, part } = await make(house);
        const gate = Promise.withResolvers<void>();
        const held = Promise.withResolvers<void>();
        const alone = house.db.transaction(async (tx) => {
          await tx.deleteFrom(table).where('uuid', '=', part).execute();
          await giveQuota(tx, PROJECT, resource, 1);
          held.resolve();
          await gate.promise;
        });
        await held.promise;
        const deleted = house.ask('alice', 'DELETE', whole);
        const end = performance.now() + 4000;
        while (Number((await waiting.execute(house.db.read)).rows[0]?.n) === 0) {
          assert.ok(performance.now() < end, 'the delete of the whole does not wait');
          await new Promise((resolve) => setTimeout(resolve, 150)); // MariaDB tells of waits at most every tenth of a second
        }
        gate.resolve();
        await alone;
        assert.equal((await deleted).status, 204);
        const row = await house.db.read
          .selectFrom('net_quotas')
          .select('used')
          .where('project_id', '=', PROJECT)
          .where('resource', '=', resource)
          .executeTakeFirst();
        const { n } = await house.db.read
          .selectFrom(table)
          .select((eb) => eb.fn.countAll<number>().as('n'))
          .where('project_id', '=', PROJECT)
          .executeTakeFirstOrThrow();
        assert.equal(row?.used, Number(n), resource);
      }
    } finally {
      await house.close();
      await server.stop();
    }
  });
