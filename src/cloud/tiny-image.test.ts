import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cpioArchive } from './tiny-image/cpio.ts';
import { neededLibraries } from './tiny-image/elf.ts';
import { readDependencies } from './tiny-image/kernel-modules.ts';
import { readGraph } from './tiny-image/packages.ts';
import { hasTool, missingTools } from './tiny-image/tools.ts';

test('tiny image: libraries of an ELF file; none for anything else', () => {
  assert.ok(neededLibraries(readFileSync(process.execPath)).some((name) => name.startsWith('libc.so')));
  assert.deepEqual(neededLibraries(Buffer.from('#!/bin/sh\n')), []);
  assert.deepEqual(neededLibraries(Buffer.alloc(0)), []);
});

test('tiny image: an archive that cpio itself reads back', { skip: hasTool('cpio') ? false : 'needs cpio: apt-get install cpio' }, () => {
  const archive = cpioArchive([
    { kind: 'folder', path: 'bin' },
    { kind: 'file', path: 'bin/tool', bytes: Buffer.from('hello'), executable: true },
    { kind: 'link', path: 'bin/sh', to: 'tool' },
  ]);
  const listed = execFileSync('cpio', ['-tv', '--quiet', '--numeric-uid-gid'], { input: archive, encoding: 'utf8' });
  const lines = listed
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' '));
  assert.match(lines[0] ?? '', /^drwxr-xr-x 2 0 0 0 .* bin$/);
  assert.match(lines[1] ?? '', /^-rwxr-xr-x 1 0 0 5 .* bin\/tool$/);
  assert.match(lines[2] ?? '', /^lrwxrwxrwx 1 0 0 4 .* bin\/sh -> tool$/);
});

test('tiny image: what packages and modules need', () => {
  const graph = readGraph('a\n  PreDepends: libc6\n |Depends: x\n  Depends: <virtual>\n    real\nlibc6\n  Depends: libgcc-s1\n');
  assert.deepEqual([graph.get('a'), graph.get('libc6')], [['libc6', 'x'], ['libgcc-s1']]);
  const modules = readDependencies('kernel/drivers/net/virtio_net.ko: kernel/b.ko kernel/a.ko\nkernel/ne2k-pci.ko:\n');
  assert.deepEqual(modules.get('virtio_net')?.needs, ['kernel/b.ko', 'kernel/a.ko']);
  assert.deepEqual(modules.get('ne2k_pci')?.needs, []);
});

test('tiny image: missing tools come with one command', () => {
  const { PATH } = process.env;
  process.env.PATH = '';
  try {
    const missing = missingTools();
    if (missing) assert.match(missing.install, /^apt-get install --no-install-recommends [a-z]/);
    else assert.ok(hasTool('apt-get')); // all of them lie in administration's folders here
  } finally {
    process.env.PATH = PATH;
  }
});

test('tiny image: the guest reads metadata by path, whatever the text holds', () => {
  const script = fileURLToPath(new URL('./tiny-image/rootfs/usr/lib/kilonova/json-lines', import.meta.url));
  const metadata = {
    uuid: 'the-one',
    meta: { uuid: 'not this', 'a "key"': 'b\\c' },
    public_keys: { k: `ssh-rsa ${'A'.repeat(500)} me@there\n` },
    keys: [{ name: 'k' }, { name: 'l' }],
    launch_index: 0,
    dedicated_cpus: [],
    admin_pass: 'p{}[]",: \u0041é',
    nothing: null,
  };
  for (const indent of [0, 2]) {
    const lines = execFileSync('awk', ['-f', script], { input: JSON.stringify(metadata, null, indent), encoding: 'utf8' })
      .trimEnd()
      .split('\n');
    assert.deepEqual(lines, [
      'uuid\tthe-one',
      'meta/uuid\tnot this',
      'meta/a "key"\tb\\c',
      `public_keys/k\tssh-rsa ${'A'.repeat(500)} me@there\\n`,
      'keys/0/name\tk',
      'keys/1/name\tl',
      'launch_index\t0',
      'admin_pass\tp{}[]",: Aé',
      'nothing\tnull',
    ]);
  }
});
