import type { Generated } from 'kysely';

export interface ImagesTable {
  id: Generated<number>;
  uuid: string;
  name: string | null;
  status: string;
  visibility: string;
  owner: string | null;
  disk_format: string | null;
  container_format: string | null;
  protected: number;
  os_hidden: number;
  /** GiB. */
  min_disk: number;
  /** MiB. */
  min_ram: number;
  /** Bytes. */
  size: number | null;
  virtual_size: number | null;
  checksum: string | null;
  os_hash_algo: string | null;
  os_hash_value: string | null;
  /** Which upload is writing the data now; whoever else ends does not touch the row. */
  upload: string | null;
  /** Put there by the cloud itself, not by a user: may be replaced by a newer one. */
  seeded: number;
  created_at: number;
  updated_at: number;
  /** Deleted rows stay: an id is never given twice. */
  deleted: number;
  deleted_at: number | null;
}
export interface ImagePropertiesTable {
  image_id: number;
  name: string;
  value: string;
}
export interface ImageTagsTable {
  image_id: number;
  tag: string;
}
export interface ImageMembersTable {
  image_id: number;
  project_id: string;
  status: string;
  created_at: number;
  updated_at: number;
}

export interface ImageTables {
  images: ImagesTable;
  image_properties: ImagePropertiesTable;
  image_tags: ImageTagsTable;
  image_members: ImageMembersTable;
}
