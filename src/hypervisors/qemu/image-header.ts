import { open } from 'node:fs/promises';

/** What the first bytes of a disk image say, read by our own eyes before any tool opens it: a tool follows the names in a header. */
export type ImageHeader = { readonly format: 'qcow2'; readonly trouble: string | null } | { readonly format: 'other' };

const MAGIC = 0x514649fb; // 'QFI' and 0xfb
const INCOMPATIBLE_DATA_FILE = 4n;
const INCOMPATIBLE_CORRUPT = 2n;

/** Spec: QEMU's docs/interop/qcow2, "Header". Needs the first 104 bytes (fewer: not an image of that kind). */
export function readImageHeader(head: Buffer): ImageHeader {
  if (head.length < 72 || head.readUInt32BE(0) !== MAGIC) return { format: 'other' };
  const version = head.readUInt32BE(4);
  const trouble = () => {
    if (version !== 2 && version !== 3) return `it has qcow2 version ${version}`;
    if (head.readBigUInt64BE(8) !== 0n) return 'it has a backing file';
    if (head.readUInt32BE(32) !== 0) return 'it is encrypted';
    if (version === 2 || head.length < 104) return null;
    const features = head.readBigUInt64BE(72);
    if ((features & INCOMPATIBLE_DATA_FILE) !== 0n) return 'it has an external data file';
    if ((features & INCOMPATIBLE_CORRUPT) !== 0n) return 'it is marked corrupt';
    return null;
  };
  return { format: 'qcow2', trouble: trouble() };
}

/** Name of the file an overlay stands on, as its header has it; null: none. Spec: as above, backing_file_offset and backing_file_size. */
export async function readBackingName(file: string): Promise<string | null> {
  const handle = await open(file, 'r');
  try {
    const { buffer: head, bytesRead } = await handle.read(Buffer.alloc(72), 0, 72, 0);
    if (bytesRead < 72 || head.readUInt32BE(0) !== MAGIC) return null;
    const [offset, length] = [Number(head.readBigUInt64BE(8)), head.readUInt32BE(16)];
    if (offset === 0 || length === 0 || length > 1023) return null;
    const { buffer: name, bytesRead: read } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return read === length ? name.toString() : null;
  } finally {
    await handle.close();
  }
}
