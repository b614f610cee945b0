import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { newUuid } from '../src/lib/ids.ts';
import { CloudError } from '../src/model/errors.ts';
import type { NewImage, ServerImage } from '../src/services/compute-api/server-parts.ts';

export interface BookImage {
  readonly id: string;
  readonly name: string;
  readonly visibility: string;
  readonly status: 'queued' | 'active';
  readonly diskFormat: 'qcow2' | 'raw';
  /** base64 */
  readonly data: string;
  readonly minDiskGiB: number;
  readonly minMemoryMiB: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly createdAt: number;
}

/** An image service in memory, with the promises of the real one; kept in a file when there is a path. Ids it does not know are images of `bytes`. */
export function imageBook(bytes: Buffer, path?: string) {
  const kept: readonly BookImage[] = path && existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
  const images = new Map(kept.map((image) => [image.id, image]));
  const keep = () => {
    if (!path) return;
    writeFileSync(`${path}.new`, JSON.stringify([...images.values()]));
    renameSync(`${path}.new`, path);
  };
  let made = 0;
  const facts = (image: BookImage) => {
    const data = Buffer.from(image.data, 'base64');
    return { diskFormat: image.diskFormat, sizeBytes: data.length, hashAlgo: 'sha512', hashValue: sha512(data) };
  };
  const book = {
    images,
    /** What the next questions are answered with, once each. */
    troubles: [] as CloudError[],
    add(more: Partial<BookImage> = {}): string {
      const id = more.id ?? newUuid();
      images.set(id, {
        id,
        name: 'an image',
        visibility: 'private',
        status: 'active',
        diskFormat: 'raw',
        data: Buffer.from(`data of ${id}`).toString('base64'),
        minDiskGiB: 0,
        minMemoryMiB: 0,
        properties: {},
        createdAt: ++made,
        ...more,
      });
      keep();
      return id;
    },
    /** For the compute API. */
    api: {
      async show(id: string): Promise<ServerImage | undefined> {
        const image = images.get(id);
        return image && { ...image, ...facts(image), containerFormat: 'bare' };
      },
      async create(wish: NewImage): Promise<string> {
        trouble();
        return book.add({ ...wish, status: 'queued', data: '' });
      },
      async remove(id: string): Promise<void> {
        images.delete(id);
        keep();
      },
      location: (id: string, origin: string) => `${origin}/image/v2/images/${id}`,
    },
    /** For conductors. */
    conductor: {
      async settle(id: string, words: Readonly<Record<string, string>>): Promise<void> {
        const image = images.get(id);
        if (image) images.set(id, { ...image, status: 'active', properties: { ...image.properties, ...words } });
        keep();
      },
      async remove(id: string): Promise<void> {
        images.delete(id);
        keep();
      },
      async backups(serverUuid: string, type: string) {
        trouble();
        return [...images.values()].filter(
          ({ status, properties }) =>
            status === 'active' &&
            properties.image_type === 'backup' &&
            properties.backup_type === type &&
            properties.instance_uuid === serverUuid,
        );
      },
    },
    /** For agents. */
    agent: {
      async show(id: string) {
        const image = images.get(id);
        return {
          id,
          ...(image ? facts(image) : { diskFormat: 'raw', sizeBytes: bytes.length, hashAlgo: 'sha512', hashValue: sha512(bytes) }),
        };
      },
      async download(id: string) {
        const image = images.get(id);
        return Readable.from([image ? Buffer.from(image.data, 'base64') : bytes]);
      },
      async upload(id: string, { diskFormat, data }: { diskFormat: string; data: Readable }) {
        trouble();
        const chunks: Buffer[] = [];
        for await (const chunk of data) chunks.push(chunk as Buffer);
        const image = images.get(id);
        if (!image) throw new CloudError('image.answered_404', 'notFound', `No image found with ID ${id}`);
        const format = diskFormat === 'qcow2' ? 'qcow2' : 'raw';
        images.set(id, { ...image, status: 'active', diskFormat: format, data: Buffer.concat(chunks).toString('base64') });
        keep();
      },
    },
  };
  const trouble = () => {
    const next = book.troubles.shift();
    if (next) throw next;
  };
  return book;
}
export type ImageBook = ReturnType<typeof imageBook>;
const sha512 = (data: Buffer) => createHash('sha512').update(data).digest('hex');
