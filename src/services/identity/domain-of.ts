import { type Call, one } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';

/** The domain whose entries a list may show: any that is asked for, for who may list all; else the caller's own. Undefined: every one. Throws forbidden. */
export function domainListed(call: Call<unknown>, rule: string): string | undefined {
  const domainId = call.allows(rule, {}) ? one(call, 'domain_id') : (call.caller.domainId ?? undefined);
  call.allow({ 'target.domain_id': domainId });
  return domainId;
}

/** The domain in which something is made. */
export const domainMeant = (call: Call<unknown>, wish: { readonly domain_id?: string | null | undefined }): string =>
  wish.domain_id ?? call.caller.domainId ?? 'default';

/** Throws invalidInput (400) for a wish to move something to another domain. */
export function mustKeepDomain(
  what: string,
  wish: { readonly domain_id?: string | null | undefined },
  before: { readonly domain_id: string },
): void {
  if (wish.domain_id && wish.domain_id !== before.domain_id) throw invalidInput({ why: `The domain of a ${what} cannot be changed.` });
}
