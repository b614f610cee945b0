import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openAuthority } from '../../../test/support/certificates.ts';
import { newUuid } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import { createAskMove, writeLine } from './move-line.ts';
import { createMoveServer, type MoveHandler } from './move-server.ts';
import { type MoveTls, readMoveTls } from './move-tls.ts';

describe('what goes between hosts, encrypted', () => {
  let folder: string;
  let certificates: Record<'here' | 'elsewhere' | 'stranger', MoveTls>;
  const open: { close(): Promise<void> }[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-tls-'));
    const authority = await openAuthority();
    const read = async (name: string, who: typeof authority, address: string) =>
      readMoveTls(await who.writeHost(join(folder, name), address));
    certificates = {
      here: await read('here', authority, '127.0.0.1'),
      elsewhere: await read('elsewhere', authority, '10.1.2.3'),
      stranger: await read('stranger', await openAuthority('others'), '127.0.0.1'),
    };
  });
  after(async () => {
    for (const one of open) await one.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const answer: MoveHandler = async (_question, socket) => {
    writeLine(socket, { here: true });
    socket.end();
  };
  const names = ['disks', 'disk', 'base', 'image', 'shared', 'config', 'incoming', 'nbd', 'memory', 'state'] as const;
  const handlers = Object.fromEntries(names.map((name) => [name, answer])) as Record<(typeof names)[number], MoveHandler>;
  const serve = async (tls: MoveTls | null) => {
    const stateDir = await mkdtemp(join(folder, 'state-'));
    const tcp = { host: '127.0.0.1', firstPort: 0, lastPort: 0 };
    const server = createMoveServer({ stateDir, tcp, tls: () => tls, log: silentLog, handlers });
    open.push(server);
    return server.offer(newUuid());
  };
  const ask = (tls: MoveTls | null, offer: Awaited<ReturnType<typeof serve>>) =>
    createAskMove(() => tls)<{ here: boolean }>(offer, { want: 'state' }, 5000);

  test('hosts of one authority hear each other; nobody hears their words on the way', async () => {
    const offer = await serve(certificates.here);
    const { answer: said, socket } = await ask(certificates.elsewhere, offer);
    assert.deepEqual(said, { here: true });
    assert.ok('encrypted' in socket && socket.encrypted);
    socket.destroy();
    const plain = connect(Number(offer.port), String(offer.host));
    const heard: Buffer[] = [];
    plain.on('data', (chunk: Buffer) => heard.push(chunk)).on('error', () => undefined);
    writeLine(plain, { want: 'state', uuid: offer.uuid, token: offer.token });
    await new Promise((resolve) => plain.once('close', resolve));
    assert.ok(!Buffer.concat(heard).includes('here'), 'a plain question has no answer');
  });

  test('a host of another authority is not heard, nor one under a name that is not its', async () => {
    await assert.rejects(ask(certificates.stranger, await serve(certificates.here)), /other host/);
    await assert.rejects(
      ask(certificates.here, await serve(certificates.stranger)),
      /cannot be reached: .*(certificate|issuer|signature)/i,
    );
    await assert.rejects(ask(certificates.here, await serve(certificates.elsewhere)), /cannot be reached: .*(altname|IP)/i);
  });

  test('where one encrypts and the other does not, nothing is sent; a folder without certificates is named', async () => {
    await assert.rejects(ask(null, await serve(certificates.here)), /does not encrypt .*live_migration_with_native_tls/);
    await assert.rejects(ask(certificates.here, await serve(null)), /this host encrypts .* does not/);
    await assert.rejects(readMoveTls(join(folder, 'nowhere')), /server-cert|ca-cert/);
  });
});
