import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { openstackBatch, openstackGood } from './openstack-batch.ts';

const skip = requires('openstack-client');
const PATIENCE = { skip, timeout: 300_000 };
let house: House;
let admin: Client;
let image = '';
before(async () => {
  if (skip) return;
  house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '2'] });
  admin = await house.as('admin');
  image = (await admin.image.ask<{ images: { name: string }[] }>('GET', '/v2/images')).body.images[0]?.name ?? '';
});
after(async () => {
  await house?.stop();
  await house?.remove();
});
/** Each command asks for JSON, but for those that begin with a dot: they print nothing. */
const asJson = (commands: readonly string[]) => commands.map((one) => (one.startsWith('.') ? one.slice(1) : `${one} -f json`));
const demo = (commands: readonly string[], at = '2.91') => openstackGood(house, asJson(commands), { at });
const root = (commands: readonly string[], at = '2.91') => openstackGood(house, asJson(commands), { rc: 'openrc', at });
/** What it says when it refuses. */
const refused = async (command: string, why: RegExp, more: { rc?: string; at?: string } = {}) =>
  assert.match((await openstackBatch(house, [command], { at: '2.91', ...more })).err, why, command);
// biome-ignore lint/suspicious/noExplicitAny: what a server shows
const show = async (id: string): Promise<any> =>
  (await admin.compute.ask<{ server: object }>('GET', `/servers/${id}`, { headers: { 'openstack-api-version': 'compute 2.91' } })).body
    .server;
/** Waits until a server has a status and nothing is being done to it. */
async function becomes(id: string, status: string): Promise<void> {
  let seen = '';
  await waitFor(
    async () => {
      const { status: now, 'OS-EXT-STS:task_state': task } = await show(id);
      seen = `${now}, ${task}`;
      return now === status && task === null;
    },
    60_000,
    () => `${id} is ${seen}, not ${status}`,
    50,
  );
}
const boot = async (name: string, more = ''): Promise<string> => {
  const [made] = await demo([`server create --image ${image} --flavor k1.nano --network default ${more} ${name}`]);
  await becomes(made.id, 'ACTIVE');
  return made.id;
};
const named = (rows: readonly { Name?: string; name?: string }[], name: string) => rows.some((row) => (row.Name ?? row.name) === name);

test('aggregates, hypervisors, services, zones', PATIENCE, async () => {
  const [made, added, shown, listed, zones, , removed, hypervisors, hypervisor, services] = await root([
    'aggregate create --zone z1 agg',
    'aggregate add host agg fake1',
    '.aggregate set --property ssd=true agg',
    'aggregate show agg',
    'aggregate list --long',
    'availability zone list --compute --long',
    '.aggregate unset --property ssd agg',
    `.aggregate cache image agg ${image}`,
    'aggregate show agg',
    'aggregate remove host agg fake1',
    '.aggregate delete agg',
    'hypervisor list',
    'hypervisor show fake1',
    'compute service list --long',
  ]);
  assert.deepEqual([made.name, added.hosts, shown.properties], ['agg', ['fake1'], { ssd: 'true' }]);
  assert.ok(named(listed, 'agg'));
  assert.ok(zones.some((zone: object) => JSON.stringify(zone).includes('z1')));
  assert.deepEqual([removed.hosts, hypervisors.length], [[], 2]);
  assert.equal(hypervisor.hypervisor_hostname, 'fake1');
  assert.ok(services.length >= 4);
  const [disabled, , up] = await root([
    '.compute service set --disable --disable-reason repairs fake2 nova-compute',
    'compute service list --long --service nova-compute --host fake2',
    '.compute service set --enable fake2 nova-compute',
    '.compute service set --down fake2 nova-compute',
    'compute service list --service nova-compute --host fake2',
    '.compute service set --up fake2 nova-compute',
    'compute service list --service nova-compute --host fake2',
  ]);
  assert.equal(disabled[0]['Disabled Reason'], 'repairs');
  assert.deepEqual([up[0].Status, up[0].State], ['enabled', 'up']);
  const [stats, hosts, host] = await root(['hypervisor stats show', 'host list', 'host show fake1'], '2.42');
  assert.equal(stats.count, 2);
  assert.ok(hosts.length >= 2 && host.length >= 2);
  await refused('aggregate create again', /doesn't allow|Policy/);
  await refused('aggregate show nothing', /No Aggregate found|404/, { rc: 'openrc' });
});

test('flavors, quotas, usage, limits', PATIENCE, async () => {
  const [made, shown, without, quota, compute, usage, own, limits] = await root([
    'flavor create --ram 64 --vcpus 1 --disk 1 --private --property hw:cpu_policy=shared --description mine closed',
    '.flavor set --project demo --property quota:cpu_shares=2 closed',
    'flavor show closed',
    '.flavor unset --project demo --property hw:cpu_policy closed',
    'flavor show closed',
    '.flavor delete closed',
    '.quota set --instances 7 --key-pairs 3 --server-groups 2 demo',
    'quota show demo',
    'quota list --compute',
    'usage list',
    'usage show --project demo',
    'limits show --absolute',
  ]);
  assert.deepEqual([made.name, made.description], ['closed', 'mine']);
  assert.deepEqual([shown.properties, shown.access_project_ids.length], [{ 'hw:cpu_policy': 'shared', 'quota:cpu_shares': '2' }, 1]);
  assert.deepEqual([without.properties, without.access_project_ids], [{ 'quota:cpu_shares': '2' }, []]);
  assert.equal(quota.instances, 7);
  assert.match(JSON.stringify(compute), /"Instances": ?7/);
  assert.ok(Array.isArray(usage) && own !== undefined && limits.length > 10);
  await demo(['quota show', 'quota show --default', 'usage show']);
  await root(['.quota set --instances 10 --key-pairs 100 --server-groups 10 demo', '.quota set --class --instances 11 default']);
  await root(['.quota set --class --instances 10 default']);
});

test('key pairs, server groups, tags', PATIENCE, async () => {
  // Debian's client loses its own --type x509 on the way; `nova` makes certificates in its own story.
  const [pair, listed] = await demo(['.keypair create cert', 'keypair show cert', 'keypair list', '.keypair delete cert']);
  assert.deepEqual([pair.name, pair.type], ['cert', 'ssh']);
  assert.ok(named(listed, 'cert'));
  const [group, groups, seen] = await demo([
    'server group create --policy anti-affinity --rule max_server_per_host=1 apart',
    'server group list',
    'server group show apart',
  ]);
  assert.deepEqual([group.policy, seen.name, named(groups, 'apart')], ['anti-affinity', 'apart', true]);
  const [a, b] = [await boot('a', `--hint group=${group.id} --tag red`), await boot('b', `--hint group=${group.id}`)];
  assert.notEqual((await show(a))['OS-EXT-SRV-ATTR:host'], (await show(b))['OS-EXT-SRV-ATTR:host']);
  const [members, red, tagged, after] = await demo([
    'server group show apart',
    'server list --tags red',
    '.server set --tag green --property k=v a',
    'server show a',
    '.server unset --tag red --property k a',
    'server show a',
  ]);
  assert.deepEqual([...JSON.stringify(members.members).matchAll(/[0-9a-f-]{36}/g)].map(([id]) => id).sort(), [a, b].sort());
  assert.deepEqual([red.length, red[0].ID], [1, a]);
  assert.match(JSON.stringify([tagged.tags, after.tags]), /green.*red.*green/);
  assert.doesNotMatch(JSON.stringify(after.tags), /red/);
  await demo(['.server group delete apart', '.server delete --wait a b']);
});

test('networks, addresses, groups and disks of a server', PATIENCE, async () => {
  const id = await boot('net');
  const [floating, , , , volume] = await demo([
    'floating ip create public',
    'security group create more',
    'network create second',
    'subnet create --network second --subnet-range 10.77.0.0/24 sub',
    'volume create --size 1 disk',
  ]);
  const address = floating.floating_ip_address;
  await demo([`.server add floating ip net ${address}`, '.server add security group net more', '.server add network net second']);
  await waitFor(
    async () => JSON.stringify((await show(id)).addresses).includes('10.77.0.'),
    60_000,
    () => 'the second network is not there',
    50,
  );
  const [seen] = await demo(['server show net']);
  assert.match(JSON.stringify(seen.addresses), new RegExp(address.replaceAll('.', '\\.')));
  assert.match(JSON.stringify(seen.security_groups), /more/);
  await demo([`.server remove floating ip net ${address}`, '.server remove security group net more', '.server remove network net second']);
  await waitFor(
    async () => !JSON.stringify((await show(id)).addresses).includes('10.77.0.'),
    60_000,
    () => 'the second network stays',
    50,
  );
  await demo(['server add fixed ip net second']).catch(() => {});
  await demo(['server add volume net disk']);
  await waitFor(
    async () => (await show(id))['os-extended-volumes:volumes_attached'].length === 1,
    60_000,
    () => 'the volume is not attached',
    50,
  );
  const [attached] = await demo([`.server volume update --delete-on-termination net ${volume.id}`, 'server volume list net']);
  assert.equal(attached[0]['Delete On Termination?'], true);
  await demo(['.server remove volume net disk', '.server delete --wait net', '.floating ip delete '.concat(address)]);
});

test('images, backups, dumps, consoles, events of a server', PATIENCE, async () => {
  const id = await boot('pic');
  await demo(['server image create --name copy pic']);
  await becomes(id, 'ACTIVE');
  await demo(['server backup create --name nightly --type daily --rotate 1 pic']);
  await becomes(id, 'ACTIVE');
  const [images, url, events] = await demo([
    'image list --private',
    '.server dump create pic',
    'console url show --novnc pic',
    'server event list pic',
    'server list --long --name pic',
  ]);
  assert.ok(named(images, 'copy') && named(images, 'nightly'));
  assert.match(url.url, /http/);
  assert.ok(events.length >= 4);
  assert.ok((await openstackBatch(house, ['console log show --lines 5 pic'])).out.length > 10);
  const [event] = await demo([`server event show pic ${events.at(-1)['Request ID']}`]);
  assert.equal(event.action, 'create');
  await becomes(id, 'ACTIVE');
  const [diagnostics] = await openstackGood(house, [`server show --diagnostics ${id} -f json`], { rc: 'openrc', at: '2.91' });
  assert.ok(diagnostics);
  await refused('server restore pic', /Cannot 'restore' instance .* vm_state active/);
  await refused('server start pic', /Cannot 'start' instance .* vm_state active/);
  await refused('server unpause pic', /Cannot 'unpause' instance .* vm_state active/);
  await refused('server show other', /No server with a name or ID|No Server found/);
  await root([`.server set --state error ${id}`]);
  assert.equal((await show(id)).status, 'ERROR');
  await root([`.server set --state active ${id}`]);
  await demo(['.server delete --wait pic']);
  const [deleted] = await root(['server list --all-projects --deleted --changes-since 2020-01-01']);
  assert.ok(deleted.some((row: { ID: string }) => row.ID === id));
});

test('migrations, and what becomes of servers when a host is down', PATIENCE, async () => {
  const id = await boot('slow', '--property fake:migrateLive=slow:600000');
  const move = async () => {
    await root([`.server migrate --live-migration ${id}`]);
    let found: { Id: number } | undefined;
    await waitFor(
      async () => {
        const [rows] = await root([`server migration list --server ${id} --status running`]);
        [found] = rows;
        return found !== undefined;
      },
      60_000,
      () => 'no migration runs',
      50,
    );
    return found?.Id ?? 0;
  };
  const first = await move();
  const [shown] = await root([`server migration show ${id} ${first}`]);
  assert.equal(shown.Status ?? shown.status, 'running');
  await root([`.server migration abort ${id} ${first}`]);
  await becomes(id, 'ACTIVE');
  await root([`.server migration force complete ${id} ${await move()}`]);
  await becomes(id, 'ACTIVE');
  await root([`.server migrate ${id}`]);
  await becomes(id, 'VERIFY_RESIZE');
  await demo(['.server migration confirm slow']);
  await becomes(id, 'ACTIVE');
  await root([`.server migrate ${id}`]);
  await becomes(id, 'VERIFY_RESIZE');
  await demo(['.server migration revert slow']);
  await becomes(id, 'ACTIVE');
  const [all] = await root(['server migration list']);
  assert.ok(all.length >= 4);
  const at = (await show(id))['OS-EXT-SRV-ATTR:host'];
  await root([`.compute service set --down ${at} nova-compute`]);
  // It does what it is told, then fails to print it: a fault of this client.
  await openstackBatch(house, [`server evacuate ${id}`], { rc: 'openrc', at: '2.91' });
  await waitFor(
    async () => (await show(id))['OS-EXT-SRV-ATTR:host'] !== at,
    60_000,
    () => 'it is not evacuated',
    50,
  );
  await becomes(id, 'ACTIVE');
  await demo(['.server delete --wait slow']);
});
