import type { Micros } from '../lib/clock.ts';

export const IMAGE_STATUSES = ['queued', 'saving', 'active', 'deactivated', 'killed', 'deleted'] as const;
export type ImageStatus = (typeof IMAGE_STATUSES)[number];
export const VISIBILITIES = ['public', 'private', 'shared', 'community'] as const;
export type Visibility = (typeof VISIBILITIES)[number];
export const DISK_FORMATS = ['qcow2', 'raw', 'aki', 'ari', 'ami', 'iso'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];
export const CONTAINER_FORMATS = ['bare', 'aki', 'ari', 'ami'] as const;
export const MEMBER_STATUSES = ['pending', 'accepted', 'rejected'] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** An image as the image service keeps it. Facts about the data (size, hashes) are null until there is data. */
export interface Image {
  readonly id: string;
  readonly name: string | null;
  readonly status: ImageStatus;
  readonly visibility: Visibility;
  /** Project it belongs to. */
  readonly owner: string | null;
  readonly diskFormat: DiskFormat | null;
  readonly containerFormat: string | null;
  readonly protected: boolean;
  readonly hidden: boolean;
  readonly minDiskGiB: number;
  readonly minMemoryMiB: number;
  readonly sizeBytes: number | null;
  /** Size of the disk inside, where the header tells it. */
  readonly virtualSizeBytes: number | null;
  /** MD5 in hex, for clients that still compare it. */
  readonly checksum: string | null;
  readonly hashAlgo: string | null;
  readonly hashValue: string | null;
  /** Custom properties: hw_*, os_*, kernel_id ... */
  readonly properties: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
}

/** A project with which an image is shared. */
export interface ImageMember {
  readonly imageId: string;
  readonly projectId: string;
  readonly status: MemberStatus;
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
}
