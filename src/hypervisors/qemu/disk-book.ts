import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GuestPaths } from './guest-paths.ts';

export type BackendName = 'qcow2' | 'raw' | 'lvm';
/** How one disk of a guest is kept, written down before it is made: from then on nobody has to guess, whatever the host's config says. */
export interface KeptDisk {
  readonly backend: BackendName;
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  /** Null: it is whole. */
  readonly making: boolean;
}
export type DiskBook = Readonly<Record<string, KeptDisk>>;
export const bookFile = (paths: Pick<GuestPaths, 'folder'>) => join(paths.folder, 'disks.json');

/** By name of the disk; those not in it are as all were before there were books: an overlay for the root, raw files else. */
export async function readDiskBook(paths: Pick<GuestPaths, 'folder'>): Promise<DiskBook> {
  const text = await readFile(bookFile(paths), 'utf8').catch((cause: { code?: string }) => {
    if (cause.code === 'ENOENT') return '{}';
    throw cause;
  });
  const book = JSON.parse(text) as DiskBook; // written below
  // Files lie beside it, whichever host looks: each comes to the folder by a path of its own.
  const here = ([name, kept]: [string, KeptDisk]) => [
    name,
    kept.backend === 'lvm' ? kept : { ...kept, file: join(paths.folder, basename(kept.file)) },
  ];
  return Object.fromEntries(Object.entries(book).map(here)) as DiskBook;
}
/** Replaces the book. */
export async function writeDiskBook(paths: Pick<GuestPaths, 'folder'>, book: DiskBook): Promise<void> {
  const part = `${bookFile(paths)}.part`;
  await writeFile(part, `${JSON.stringify(book, null, 1)}\n`, { mode: 0o600, flush: true });
  await rename(part, bookFile(paths));
}
