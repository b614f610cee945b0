import { PythonFloat, PythonObject, parseJson, pythonText } from '../../../model/python.ts';
import { matchesSpec } from '../extra-specs-match.ts';
import { type Filter, no, ok } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import { attributeOf, hasAttribute } from '../nova-attributes.ts';

/** Extra specs that speak of the host itself: `capabilities:...`, and plain keys that name something a host has. Others are not for this filter.
 *  Spec: Nova's ComputeCapabilitiesFilter; plain keys of other meanings are ignored, `capabilities:` ones must exist. */
export const ComputeCapabilitiesFilter: Filter = {
  name: 'ComputeCapabilitiesFilter',
  oncePerRequest: true,
  concerns: ({ wish }) => {
    for (const key in wish.extraSpecs) if (!key.includes(':') || key.startsWith('capabilities:') || key === MAX_BITS) return true;
    return false;
  },
  judge(host, { wish }) {
    for (const [key, demand] of Object.entries(wish.extraSpecs ?? {})) {
      const path = key === MAX_BITS ? ['cpu_info', 'maxphysaddr', 'bits'] : key.split(':');
      if (key !== MAX_BITS) {
        if (path.length === 1) {
          if (!hasAttribute(key) && !Object.hasOwn(host.stats ?? {}, key)) continue;
        } else if (path.shift() !== 'capabilities') continue;
      }
      const found = capability(host, path);
      if (found === null) return no(`the flavor asks for ${key}, which the host does not have`);
      if (!matchesSpec(pythonText(found), demand)) return no(`the flavor asks for ${key} ${demand}`);
    }
    return ok;
  },
};
/** Asked of cpu_info, since 2023. */
const MAX_BITS = 'hw:maxphysaddr_bits';

/** Follows a path into the host, then its stats; a text on the way is read as JSON. Null where it ends early. */
function capability(host: HostView, [first = '', ...path]: readonly string[]): unknown {
  let at = attributeOf(host, first) ?? own(host.stats, first);
  for (const word of path) {
    if (typeof at === 'string') {
      try {
        at = parseJson(at);
      } catch {
        return null;
      }
    }
    if (at instanceof PythonFloat || at instanceof PythonObject || Array.isArray(at)) return null;
    at = own(at, word);
    if (at === null) return null;
  }
  return at;
}
const own = (at: unknown, word: string): unknown =>
  at !== null && typeof at === 'object' && Object.hasOwn(at, word) ? ((at as Record<string, unknown>)[word] ?? null) : null;
