import { body, leaf, required } from '../../../lib/shape.ts';
import { str, uuid } from './server-common.ts';

/** Body of POST /servers/{id}/shares.  Spec: microversion 2.97. */
export const shareCreate = body({
  share: required(body({ share_id: required(uuid), tag: str({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9-]*$' }) })),
});
/** Routes this young take no words at all. */
export const closedQuery = leaf<object>({ type: 'object', properties: {}, additionalProperties: false });
