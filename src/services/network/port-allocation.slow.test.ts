import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openNetworkHouse } from './cloud-for-tests.ts';

async function houseWithSubnet(cidr: string, quota = 10_000) {
  const house = await openNetworkHouse({ seed: false, quotas: { port: quota } });
  const { id } = (await house.ask('alice', 'POST', '/v2.0/networks', { network: { name: 'n' } })).body.network;
  await house.ask('alice', 'POST', '/v2.0/subnets', { subnet: { network_id: id, cidr, ip_version: 4 } });
  const create = () => house.ask('alice', 'POST', '/v2.0/ports', { port: { network_id: id } });
  return { house, id, create };
}
const addressOf = (answer: { body: { port: { fixed_ips: { ip_address: string }[] } } }) => answer.body.port.fixed_ips[0]?.ip_address ?? '';

test('500 ports at once get 500 addresses, each its own, none the subnet keeps', async () => {
  const { house, create } = await houseWithSubnet('172.20.0.0/20');
  try {
    const answers = await Promise.all(Array.from({ length: 500 }, create));
    assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201]);
    const addresses = answers.map(addressOf);
    assert.equal(new Set(addresses).size, 500);
    assert.equal(new Set(answers.map((answer) => answer.body.port.mac_address)).size, 500);
    for (const kept of ['172.20.0.0', '172.20.0.1', '172.20.0.2', '172.20.15.255']) assert.ok(!addresses.includes(kept));
    const count = await house.db.read.selectFrom('net_networks').select('ports').executeTakeFirstOrThrow();
    assert.equal(count.ports, 500);
  } finally {
    await house.close();
  }
});

test('a pool smaller than the crowd gives out exactly what it has, and leaves no trace of the refused', async () => {
  const { house, create } = await houseWithSubnet('10.0.0.0/26');
  try {
    const answers = await Promise.all(Array.from({ length: 200 }, create));
    const made = answers.filter((answer) => answer.status === 201);
    assert.equal(made.length, 61);
    assert.equal(new Set(made.map(addressOf)).size, 61);
    assert.ok(answers.every((answer) => answer.status === 201 || answer.body.NeutronError.type === 'IpAddressGenerationFailure'));
    const used = await house.db.read.selectFrom('net_quotas').select('used').where('resource', '=', 'port').executeTakeFirstOrThrow();
    assert.equal(used.used, 61);
    const rows = await house.db.read.selectFrom('net_addresses').selectAll().execute();
    assert.equal(rows.length, 61);
  } finally {
    await house.close();
  }
});

test('a quota holds against a crowd', async () => {
  const { house, create } = await houseWithSubnet('10.0.0.0/16', 40);
  try {
    const answers = await Promise.all(Array.from({ length: 120 }, create));
    assert.equal(answers.filter((answer) => answer.status === 201).length, 40);
    assert.ok(answers.every((answer) => answer.status === 201 || answer.body.NeutronError.type === 'OverQuota'));
  } finally {
    await house.close();
  }
});

test('addresses come back into use only after all fresh ones; chosen ones are stepped over', async () => {
  const { house, id, create } = await houseWithSubnet('10.0.0.0/28');
  try {
    const chosen = ['10.0.0.3', '10.0.0.4', '10.0.0.14'];
    for (const ip_address of chosen)
      await house.ask('alice', 'POST', '/v2.0/ports', { port: { network_id: id, fixed_ips: [{ ip_address }] } });
    const first = await create();
    assert.equal(addressOf(first), '10.0.0.2');
    await house.ask('alice', 'DELETE', `/v2.0/ports/${first.body.port.id}`);
    const fresh = [];
    for (let n = 0; n < 9; n++) fresh.push(addressOf(await create()));
    assert.deepEqual(
      fresh,
      ['5', '6', '7', '8', '9', '10', '11', '12', '13'].map((last) => `10.0.0.${last}`),
    );
    assert.equal(addressOf(await create()), '10.0.0.2');
    assert.equal((await create()).status, 409);
  } finally {
    await house.close();
  }
});

test('one default group for a project, however many ask first', async () => {
  const { house } = await houseWithSubnet('10.0.0.0/28');
  try {
    const lists = await Promise.all(Array.from({ length: 20 }, () => house.ask('bob', 'GET', '/v2.0/security-groups')));
    const ids = new Set(lists.flatMap((list) => list.body.security_groups.map((group: { id: string }) => group.id)));
    assert.equal(ids.size, 1);
    assert.equal((await house.ask('bob', 'GET', '/v2.0/security-group-rules')).body.security_group_rules.length, 4);
  } finally {
    await house.close();
  }
});
