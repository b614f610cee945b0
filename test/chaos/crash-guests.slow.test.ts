import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { requires } from '../requires.ts';
import { type CrashHouse, openCrashHouse } from './crash-house.ts';
import { becomes, type CrashStory, dieAt } from './crash-stories.ts';

// A chosen few of what crash-points.slow.test.ts does with fake guests, with real ones. Two guests are booted; nobody waits until they are up.
describe('the agent of real guests dies by SIGKILL, and its follower brings it to its end', {
  skip: requires('qemu', 'tiny-image', 'rabbitmq'),
}, () => {
  let house: CrashHouse;
  const made: string[] = [];
  before(async () => {
    house = await openCrashHouse({ guests: true });
  });
  after(() => house?.close());

  const server = () => ({ name: 'real', flavorRef: '6', imageRef: house.image, networks: [{ uuid: house.network }], config_drive: true });
  const build: CrashStory = {
    name: 'build',
    before: async () => '',
    async act() {
      const { status, text, body } = await house.demo.ask('POST', '/v2.1/servers', { server: server() });
      assert.equal(status, 202, text);
      made.push(body.server.id);
      return body.server.id;
    },
    ends: ['active'],
  };
  const asks = async (id: string, body: object) => {
    const { status, text } = await house.demo.ask('POST', `/v2.1/servers/${id}/action`, body);
    assert.equal(status, 202, text);
  };
  const deed = (name: string, at: number, body: object, ends: readonly string[]): CrashStory => ({
    name,
    before: async () => made[at] ?? '',
    act: (_house, id) => asks(id, body),
    ends,
  });
  const dies = async (story: CrashStory, point: string) => {
    const wrong = await dieAt(house, story, point);
    assert.ok(wrong, `${point} was not passed`);
    assert.deepEqual(wrong, []);
    assert.equal(house.real?.emulators().length, (await house.running()).length, 'an emulator for each server that is on');
  };

  test('when the disks are made', () => dies(build, 'agent.createDisks.after'));
  test('when the emulator runs: it is taken up, not started twice', async () => {
    await dies(build, 'agent.spawn.after');
    assert.equal(house.real?.emulators().length, 2);
  });
  test('while a guest that runs is copied: no half copy, and the guest runs on', async () => {
    const pids = house.real?.emulators();
    await dies(deed('snapshot', 0, { createImage: { name: 'copy' } }, ['active']), 'agent.snapshot.during');
    assert.deepEqual(house.real?.emulators(), pids);
    const images: { status: string }[] = (await house.demo.ask('GET', '/image/v2/images?name=copy')).body.images;
    assert.deepEqual(
      images.filter((image) => image.status !== 'active'),
      [],
    );
  });
  test('when its disk is about to grow', async () => {
    const id = made[1] ?? '';
    await asks(id, { 'os-stop': null });
    await becomes(house, id, 'stopped');
    await dies(deed('resize', 1, { resize: { flavorRef: '2' } }, ['resized', 'stopped']), 'agent.resizeDisks.before');
  });
  test('when the emulator of a deleted server has ended and its disks are left', async () => {
    const remove: CrashStory = {
      name: 'delete',
      before: async () => made[0] ?? '',
      act: (at, id) => at.demo.ask('DELETE', `/v2.1/servers/${id}`),
      ends: [null],
    };
    await dies(remove, 'agent.destroy.after');
  });
  test('then all is deleted, and no process or file is left', async () => {
    assert.deepEqual([...(await house.wipe()), ...house.wrong.splice(0)], []);
  });
});
