/** One thing in an archive: a folder, a file with its bytes, or a symbolic link. */
export type CpioEntry = { readonly path: string } & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly executable: boolean }
  | { readonly kind: 'link'; readonly to: string }
);
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** A cpio archive in the form the kernel unpacks as initrd ("newc"); everything belongs to root, all times are 0, so the same
 *  entries always give the same bytes. Folders must come before what lies in them. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const add = (path: string, mode: number, links: number, bytes: Buffer, inode: number) => {
    const name = Buffer.from(`${path}\0`);
    const numbers = [inode, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
    const head = Buffer.from(`070701${numbers.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
    parts.push(pad(Buffer.concat([head, name])), pad(bytes));
  };
  entries.forEach((entry, i) => {
    if (entry.kind === 'folder') add(entry.path, S_IFDIR | 0o755, 2, Buffer.alloc(0), i + 1);
    else if (entry.kind === 'link') add(entry.path, S_IFLNK | 0o777, 1, Buffer.from(entry.to), i + 1);
    else add(entry.path, S_IFREG | (entry.executable ? 0o755 : 0o644), 1, entry.bytes, i + 1);
  });
  add('TRAILER!!!', 0, 1, Buffer.alloc(0), 0);
  return Buffer.concat(parts);
}

const pad = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
