import type { World } from './world.ts';

// biome-ignore lint/suspicious/noExplicitAny: samples are JSON of any form; each recipe knows its own
export type Body = any;
export interface Request {
  /** 'PUT /servers/ID'; `//path` is absolute. */
  readonly place: string;
  readonly body?: unknown;
  /** Puts right again what the request did. */
  readonly after?: () => Promise<unknown>;
}
/** Gets ready what the operation needs and says how it is asked, with the body of a sample made true for this world. */
export type Recipe = (world: World, version: string, body: Body, file: string) => Promise<Request> | Request;

/** Operations that cannot be asked for here, with the reason. They are not counted. */
export const leftOut: Readonly<Record<string, string>> = {
  'versions:redirect': 'has no path in the catalogue',
  'os-baremetal-nodes:index': 'there is no bare metal service',
  'os-baremetal-nodes:show': 'there is no bare metal service',
  'server-shares:index': 'there is no share service',
  'server-shares:create': 'there is no share service',
  'server-shares:show': 'there is no share service',
  'server-shares:delete': 'there is no share service',
};
export const minor = (version: string) => Number(version.split('.')[1]);
