import type { ConsoleAddress, ConsoleProtocol, ConsoleType } from '../../model/consoles.ts';
import type { Image } from '../../model/image.ts';
import type { Server } from '../../model/server.ts';
import type { Asker, ServerParts } from './server-parts.ts';

/** The image service, as old clients reach it through us: with their own token. Errors are CloudErrors of the kind the service answered with. */
export interface ImageProxy {
  /** So many images at most, newest first. `words` as the image service has them. Throws invalid for words it refuses. */
  list(
    words: Readonly<Record<string, string>>,
    page: { limit: number; marker: string | undefined },
    asker: Asker,
  ): Promise<readonly Image[]>;
  /** Throws notFound. */
  show(id: string, asker: Asker): Promise<Image>;
  /** Throws notFound, forbidden. */
  remove(id: string, asker: Asker): Promise<void>;
  /** Sets these properties, takes those away, and answers the image. Throws notFound, forbidden. */
  change(id: string, set: Readonly<Record<string, string>>, away: readonly string[], asker: Asker): Promise<Image>;
  /** Where clients reach it, given the origin they reached us by. */
  publicUrl(origin: string): string;
}

/** Which consoles are offered, and by which proxies.  Spec: Nova's [vnc], [spice], [serial_console], [mks] and [consoleauth]. */
export interface ConsoleSettings {
  readonly enabled: Readonly<Record<ConsoleProtocol, boolean>>;
  /** Where users find the proxy; the token goes behind it. */
  readonly urls: Readonly<Record<ConsoleType, string>>;
  readonly tokenTtlSeconds: number;
}

/** What the routes of this table work with, besides what servers need. */
export interface MiscParts extends ServerParts {
  readonly imageProxy: ImageProxy;
  readonly consoles: ConsoleSettings;
  /** Asks a server's host for its console. Throws serverNotFound (404), serverNotReady (409) when the host does not answer or has not built it yet,
   *  consoleTypeUnavailable (400) for a guest that is off, consoleNotSupported (501). */
  readonly consoleAddress: (server: Server, protocol: ConsoleProtocol) => Promise<ConsoleAddress>;
}
