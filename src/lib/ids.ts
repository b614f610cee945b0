import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** A random uuid with dashes, as servers, ports and images have. */
export const newUuid = (): string => randomUUID();
/** 32 hex digits without dashes, as projects, users and roles have. */
export const newHexId = (): string => randomUUID().replaceAll('-', '');
/** `req-<uuid>`, the id by which one request is found in every log. */
export const newRequestId = (): string => `req-${randomUUID()}`;
/** A secret with `bytes` bytes of randomness, in base64url. */
export const newSecret = (bytes = 24): string => randomBytes(bytes).toString('base64url');
export const sha256 = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex');

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
/** Whether the text is a uuid as OpenStack takes it: with or without dashes, either case. */
export const isUuid = (text: unknown): text is string => typeof text === 'string' && UUID.test(text);
