import { open } from 'node:fs/promises';
import { imageFormatMismatch } from '../../model/errors-image.ts';
import type { DiskFormat } from '../../model/image.ts';

const QCOW2_MAGIC = 0x514649fb;
const ISO_AT = 32_769;
/** Bit of qcow2's incompatible features: data lies in another file. */
const EXTERNAL_DATA = 4n;
const KNOWN_FEATURES = 0b11111n;
const OTHERS: readonly (readonly [name: string, magic: Buffer])[] = [
  ['vmdk', Buffer.from('KDMV')],
  ['vhdx', Buffer.from('vhdxfile')],
  ['vhd', Buffer.from('conectix')],
];

/** Looks into the file's head and holds it against the declared format. Throws imageFormatMismatch (415) for a qcow2 or iso that is none, for a
 *  qcow2 that is called something else, and for one that names other files of the host (backing file, data file). A partition table in a raw
 *  disk is fine.  Spec: qcow2 specification in QEMU's docs/interop/qcow2.rst; Glance's image content inspection. */
export async function inspectFormat(path: string, format: DiskFormat): Promise<{ virtualSizeBytes: number | null }> {
  const handle = await open(path, 'r');
  try {
    const size = (await handle.stat()).size;
    const head = Buffer.alloc(Math.min(size, 512));
    await handle.read(head, 0, head.length, 0);
    const isQcow2 = head.length >= 4 && head.readUInt32BE(0) === QCOW2_MAGIC;
    if (format === 'qcow2') {
      if (!isQcow2) throw mismatch('the image is declared as qcow2, but the data has no qcow2 header');
      return { virtualSizeBytes: readQcow2(head) };
    }
    if (isQcow2) throw mismatch(`the image is declared as ${format}, but the data is qcow2`);
    for (const [name, magic] of OTHERS)
      if (head.subarray(0, magic.length).equals(magic)) throw mismatch(`the image is declared as ${format}, but the data is ${name}`);
    if (format === 'iso') {
      const mark = Buffer.alloc(5);
      await handle.read(mark, 0, 5, ISO_AT);
      if (mark.toString('latin1') !== 'CD001') throw mismatch('the image is declared as iso, but the data is no ISO 9660 file system');
    }
    return { virtualSizeBytes: format === 'raw' || format === 'iso' ? size : null };
  } finally {
    await handle.close();
  }
}

function readQcow2(head: Buffer): number {
  if (head.length < 72) throw mismatch('the qcow2 header is cut off');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw mismatch(`qcow2 version ${version} is not known`);
  if (head.readBigUInt64BE(8) !== 0n) throw mismatch('the qcow2 image has a backing file; flatten it with "qemu-img convert"');
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw mismatch(`a qcow2 cluster of 2^${clusterBits} bytes is not possible`);
  if (version === 3) {
    if (head.length < 104) throw mismatch('the qcow2 header is cut off');
    const features = head.readBigUInt64BE(72);
    if (features & EXTERNAL_DATA) throw mismatch('the qcow2 image keeps its data in another file; flatten it with "qemu-img convert"');
    if (features & ~KNOWN_FEATURES) throw mismatch('the qcow2 image needs features that are not known');
  }
  const virtual = head.readBigUInt64BE(24);
  if (virtual > BigInt(Number.MAX_SAFE_INTEGER)) throw mismatch('the qcow2 disk size is not possible');
  return Number(virtual);
}

const mismatch = (why: string) => imageFormatMismatch({ why });
