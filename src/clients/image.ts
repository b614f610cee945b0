import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../lib/clock.ts';
import { CloudError } from '../model/errors.ts';
import type { DiskFormat, Image, ImageStatus, Visibility } from '../model/image.ts';
import type { ImageSnapshot } from '../model/server.ts';
import type { Neighbour } from './neighbour.ts';

/** Asks with this token instead of the service's own: what its owner may not see is then a 404. */
export interface AskAs {
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** The image service, as other services need it. Errors are CloudErrors with the kind of the status (`notFound` ...) and code `image.answered_<status>`. */
export interface ImageClient {
  /** The image. One seen active is kept for `cacheMs`: its data never change, its name, properties and existence may be that much out of date. */
  show(id: string, as?: AskAs): Promise<Image>;
  /** The data as a stream, to be read or destroyed. Throws `notFound` also for an image without data. */
  download(id: string, as?: AskAs): Promise<Readable>;
  /** Every image that fits, over all pages. Words as the API has them: `{ name: 'tiny', visibility: 'public' }`. */
  list(filters?: Readonly<Record<string, string>>, as?: AskAs): Promise<Image[]>;
  /** So many images at most that fit, newest first, from behind the image `marker` on. */
  page(filters: Readonly<Record<string, string>>, page: { limit: number; marker?: string | undefined }, as?: AskAs): Promise<Image[]>;
  /** Sets custom properties and takes others away. */
  setProperties(id: string, set: Readonly<Record<string, string>>, away: readonly string[], as?: AskAs): Promise<Image>;
  /** Registers an image without data. */
  create(wish: ImageWish, as?: AskAs): Promise<Image>;
  /** Changes what is known of an image: words as the API has them, `{ disk_format: 'qcow2' }`. */
  change(id: string, words: Readonly<Record<string, unknown>>, as?: AskAs): Promise<Image>;
  /** Sends the data. The stream is destroyed when the service refuses. */
  upload(id: string, data: Readable, as?: AskAs): Promise<void>;
  /** Removes the image; fine when it is gone. */
  remove(id: string, as?: AskAs): Promise<void>;
}
export interface ImageWish {
  readonly id?: string;
  readonly name: string;
  /** Absent: said with the data. */
  readonly diskFormat?: DiskFormat;
  readonly containerFormat?: string;
  readonly visibility?: Visibility;
  /** Project it shall belong to; needs an admin's token when it is another than the caller's. */
  readonly owner?: string;
  readonly minDiskGiB?: number;
  readonly minMemoryMiB?: number;
  readonly properties?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
}

/** A property's place in a JSON patch. */
const pointer = (word: string) => `/${word.replaceAll('~', '~0').replaceAll('/', '~1')}`;
const UPLOAD = 'application/octet-stream';
/** A neighbour's deadline holds for the body too, and an image may take hours on a slow line. */
const DOWNLOAD_MS = 24 * 3_600_000;

export function imageClient(service: Neighbour, more: { clock?: Clock; cacheMs?: number } = {}): ImageClient {
  const clock = more.clock ?? systemClock;
  const keepMicros = (more.cacheMs ?? 1000) * 1000;
  // By token too: who may see an image is the service's to say, not the cache's.
  const kept = new LRUCache<string, { readonly image: Image; readonly until: number }>({ max: 1000 });
  const place = (id: string, rest = '') => `/v2/images/${encodeURIComponent(id)}${rest}`;
  const options = (as: AskAs = {}) => ({ ...(as.token ? { token: as.token } : {}), ...(as.signal ? { signal: as.signal } : {}) });
  const forget = (id: string) => {
    for (const key of kept.keys()) if (key.startsWith(`${id} `)) kept.delete(key);
  };
  const patch = async (id: string, body: readonly object[], as: AskAs | undefined): Promise<Image> => {
    forget(id);
    const headers = { 'content-type': 'application/openstack-images-v2.1-json-patch' };
    return imageFrom((await service.ask('PATCH', place(id), { ...options(as), body, headers })).body);
  };
  const pages = async (words: URLSearchParams, as: AskAs | undefined, most = Number.POSITIVE_INFINITY): Promise<Image[]> => {
    const images: Image[] = [];
    let path: string | undefined = `/v2/images?${words}`;
    while (path !== undefined && images.length < most) {
      const page: { images?: unknown; next?: unknown } = (await service.ask<{ images?: unknown; next?: unknown }>('GET', path, options(as)))
        .body;
      if (!Array.isArray(page?.images)) throw nonsense();
      images.push(...page.images.map(imageFrom));
      path = typeof page.next === 'string' && page.next.startsWith('/v2/images?') ? page.next : undefined;
    }
    return images;
  };
  return {
    async show(id, as) {
      const key = `${id} ${as?.token ?? ''}`;
      const ready = kept.get(key);
      if (ready && ready.until > clock.now()) return ready.image;
      const { body } = await service.ask('GET', place(id), options(as));
      const image = imageFrom(body);
      if (image.status === 'active') kept.set(key, { image, until: clock.now() + keepMicros });
      return image;
    },
    async download(id, as) {
      const answer = await service.download(place(id, '/file'), { ...options(as), headers: { accept: UPLOAD }, timeoutMs: DOWNLOAD_MS });
      if (answer.status === 200) return answer.body;
      answer.body.resume(); // a 204 has no body; read to its end it gives the connection back
      throw new CloudError('image.no_data', 'notFound', `Image ${id} has no data.`, { id });
    },
    async page(filters, { limit, marker }, as) {
      const words = new URLSearchParams({ ...filters, limit: String(Math.min(limit, 1000)), ...(marker === undefined ? {} : { marker }) });
      return (await pages(words, as, limit)).slice(0, limit);
    },
    async setProperties(id, set, away, as) {
      const added = Object.entries(set).map(([word, value]) => ({ op: 'add', path: pointer(word), value }));
      return patch(id, [...added, ...away.map((word) => ({ op: 'remove', path: pointer(word) }))], as);
    },
    list: (filters = {}, as) => pages(new URLSearchParams({ limit: '1000', ...filters }), as),
    async create(wish, as) {
      const { id, name, visibility, owner, tags, properties } = wish;
      const body = {
        ...properties,
        name,
        min_disk: wish.minDiskGiB ?? 0,
        min_ram: wish.minMemoryMiB ?? 0,
        ...(wish.diskFormat === undefined ? {} : { disk_format: wish.diskFormat }),
        ...(wish.containerFormat === undefined ? {} : { container_format: wish.containerFormat }),
        ...(id === undefined ? {} : { id }),
        ...(visibility === undefined ? {} : { visibility }),
        ...(owner === undefined ? {} : { owner }),
        ...(tags === undefined ? {} : { tags }),
      };
      return imageFrom((await service.ask('POST', '/v2/images', { ...options(as), body, expect: [201] })).body);
    },
    async change(id, words, as) {
      return patch(
        id,
        Object.entries(words).map(([word, value]) => ({ op: 'add', path: pointer(word), value })),
        as,
      );
    },
    async upload(id, data, as) {
      forget(id);
      try {
        await service.ask('PUT', place(id, '/file'), { ...options(as), stream: data, headers: { 'content-type': UPLOAD }, expect: [204] });
      } finally {
        data.destroy();
      }
    },
    async remove(id, as) {
      forget(id);
      try {
        await service.ask('DELETE', place(id), options(as));
      } catch (cause) {
        if (!(cause instanceof CloudError && cause.kind === 'notFound')) throw cause;
      }
    },
  };
}

/** What a server keeps of its image. Throws `invalid` for an image whose data are not there or whose format is not known. */
export function snapshotOf(image: Image): ImageSnapshot {
  if (image.status !== 'active' || image.diskFormat === null)
    throw new CloudError('image.not_active', 'invalid', `Image ${image.id} is not active.`, { id: image.id });
  return {
    id: image.id,
    name: image.name ?? '',
    diskFormat: image.diskFormat,
    containerFormat: image.containerFormat ?? 'bare',
    sizeBytes: image.sizeBytes ?? 0,
    hashAlgo: image.hashAlgo ?? '',
    hashValue: image.hashValue ?? '',
    minDiskGiB: image.minDiskGiB,
    minMemoryMiB: image.minMemoryMiB,
    properties: image.properties,
  };
}

const KNOWN = new Set(
  'name disk_format container_format visibility size virtual_size status checksum protected min_ram min_disk owner os_hidden os_hash_algo os_hash_value id created_at updated_at tags self file schema locations direct_url stores'.split(
    ' ',
  ),
);

function imageFrom(body: unknown): Image {
  if (body === null || typeof body !== 'object') throw nonsense();
  const seen = body as Record<string, unknown>; // an object, as just seen
  const text = (name: string) => (typeof seen[name] === 'string' ? seen[name] : null);
  const number = (name: string) => (typeof seen[name] === 'number' ? seen[name] : null);
  const id = text('id');
  if (id === null) throw nonsense();
  return {
    id,
    name: text('name'),
    // What else a foreign service may say passes through; whoever switches on these words has a default.
    status: text('status') as ImageStatus,
    visibility: text('visibility') as Visibility,
    owner: text('owner'),
    diskFormat: text('disk_format') as DiskFormat | null,
    containerFormat: text('container_format'),
    protected: seen.protected === true,
    hidden: seen.os_hidden === true,
    minDiskGiB: number('min_disk') ?? 0,
    minMemoryMiB: number('min_ram') ?? 0,
    sizeBytes: number('size'),
    virtualSizeBytes: number('virtual_size'),
    checksum: text('checksum'),
    hashAlgo: text('os_hash_algo'),
    hashValue: text('os_hash_value'),
    properties: Object.fromEntries(
      Object.entries(seen).flatMap(([name, value]) => (KNOWN.has(name) || typeof value !== 'string' ? [] : [[name, value]])),
    ),
    tags: Array.isArray(seen.tags) ? seen.tags.map(String) : [],
    createdAt: Date.parse(text('created_at') ?? '1970-01-01T00:00:00Z') * 1000,
    updatedAt: Date.parse(text('updated_at') ?? '1970-01-01T00:00:00Z') * 1000,
  };
}

const nonsense = () => new CloudError('image.nonsense', 'badGateway', 'The image service answered something that is no image.');
