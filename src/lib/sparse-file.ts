import { open } from 'node:fs/promises';

/** Writes a file of so many zero bytes that takes no room, mode 0600; one that is there is emptied. */
export async function sparseFile(file: string, bytes: number): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}
