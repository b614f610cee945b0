/** The ways in which a guest's console can be reached. */
export const consoleProtocols = ['vnc', 'spice', 'serial', 'mks'] as const;
export type ConsoleProtocol = (typeof consoleProtocols)[number];

/** What a user may ask for, with its protocol: the type decides which proxy stands between. */
export const consoleTypes = {
  novnc: 'vnc',
  'spice-html5': 'spice',
  'spice-direct': 'spice',
  serial: 'serial',
  webmks: 'mks',
} as const satisfies Readonly<Record<string, ConsoleProtocol>>;
export type ConsoleType = keyof typeof consoleTypes;

/** Where a proxy finds a guest's console: host and port, or a unix socket on that host (then the port is 0). */
export interface ConsoleAddress {
  readonly host: string;
  readonly port: number;
  readonly tlsPort: number | null;
  /** What the proxy says to the host before it is let through; null for most. */
  readonly path: string | null;
  readonly socket: string | null;
}
