/** What sort of trouble it is. The HTTP edge looks at nothing else to choose a status. */
export type Kind =
  | 'invalid' // 400
  | 'unauthorized' // 401
  | 'forbidden' // 403, quota included
  | 'notFound' // 404
  | 'badMethod' // 405
  | 'notAcceptable' // 406
  | 'conflict' // 409
  | 'gone' // 410
  | 'staleGeneration' // 412
  | 'tooLarge' // 413
  | 'unsupportedMedia' // 415
  | 'tooMany' // 429
  | 'internal' // 500
  | 'notImplemented' // 501
  | 'badGateway' // 502: a neighbour service answered nonsense
  | 'unavailable'; // 503: a neighbour, the database or the bus is away

/** An error a caller may see. `message` is for the caller; `detail` and `cause` are for the log only. */
export class CloudError extends Error {
  readonly code: string;
  readonly kind: Kind;
  readonly params: Readonly<Record<string, unknown>>;
  readonly detail: string | undefined;
  constructor(
    code: string,
    kind: Kind,
    message: string,
    params: Readonly<Record<string, unknown>> = {},
    more: { detail?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.name = 'CloudError';
    this.code = code;
    this.kind = kind;
    this.params = params;
    this.detail = more.detail;
  }
}

/** Makes the constructor for one row of the catalogue: `throw serverNotFound({ id })`.
 *  Each service keeps its rows in `model/errors-<service>.ts`; codes are `noun.trouble` and unique over all of them. */
export const row =
  <P extends Readonly<Record<string, unknown>>>(code: string, kind: Kind, say: (params: P) => string) =>
  (params: P, more?: { detail?: string | undefined; cause?: unknown }) =>
    new CloudError(code, kind, say(params), params, more);

/** A CloudError as it crosses the bus or stands in a row; `rebuildError` makes it one again. */
export interface WireError {
  readonly code: string;
  readonly kind: Kind;
  readonly message: string;
  readonly params: Readonly<Record<string, unknown>>;
}
export const wireError = (cause: unknown): WireError =>
  cause instanceof CloudError
    ? { code: cause.code, kind: cause.kind, message: cause.message, params: cause.params }
    : { code: 'unexpected', kind: 'internal', message: cause instanceof Error ? cause.message : String(cause), params: {} };
export const rebuildError = (wire: WireError) => new CloudError(wire.code, wire.kind, wire.message, wire.params);

// Rows every room shares.
export const invalidInput = row<{ why: string }>('input.invalid', 'invalid', (p) => p.why);
export const malformedBody = row<object & Record<string, never>>('input.malformed', 'invalid', () => 'Malformed request body');
export const notAuthenticated = row<Record<string, never>>(
  'auth.missing',
  'unauthorized',
  () => 'The request you have made requires authentication.',
);
export const policyForbids = row<{ rule: string }>('policy.forbids', 'forbidden', (p) => `Policy doesn't allow ${p.rule} to be performed.`);
export const routeNotFound = row<Record<string, never>>('route.not_found', 'notFound', () => 'The resource could not be found.');
export const neighbourUnavailable = row<{ service: string }>(
  'neighbour.unavailable',
  'unavailable',
  (p) => `The ${p.service} service does not answer. Try again in a moment.`,
);
