import type { Generated } from 'kysely';

/** Lets one console proxy in to one server's console, until it expires. Only the token's hash is kept. */
export interface ConsoleTokensTable {
  id: Generated<number>;
  /** SHA-256 of the token, in hex. */
  token_hash: string;
  server_uuid: string;
  /** The host the server was on: it moves, and the token is worth nothing. */
  server_host: string;
  console_type: string;
  host: string;
  /** 0 for a unix socket. */
  port: number;
  tls_port: number | null;
  /** Path on that host. */
  socket: string | null;
  internal_path: string | null;
  created_at: number;
  expires_at: number;
}
/** What a guest has posted as its password, encrypted with its user's public key. */
export interface ServerPasswordsTable {
  server_uuid: string;
  password: string;
  created_at: number;
}
