import type { Call, Reply } from '../../http/call.ts';
import { extensionNotFound } from '../../model/errors-compute-api.ts';
import { extensionNames } from './extension-names.ts';

const view = (alias: string, name: string) => ({
  alias,
  name,
  description: `${name} support.`,
  namespace: 'http://docs.openstack.org/compute/ext/fake_xml',
  links: [],
  updated: '2014-12-03T00:00:00Z',
});

/** What this mount lists: virtual interfaces with their network were an extension of the legacy API alone. */
const known = (call: Call) => Object.entries(extensionNames).filter(([alias]) => call.legacy || alias !== 'OS-EXT-VIF-NET');

/** Lists the extensions of old; they never change.  Spec: compute api-ref "List Extensions". */
export const listExtensions = (_parts: unknown, call: Call): Reply => ({
  status: 200,
  body: { extensions: known(call).map(([alias, name]) => view(alias, name)) },
});

/** Shows one.  Throws extensionNotFound (404).  Spec: compute api-ref "Show Extension Details". */
export function showExtension(_parts: unknown, call: Call): Reply {
  const alias = call.params.alias ?? '';
  const found = known(call).find(([each]) => each === alias);
  if (!found) throw extensionNotFound({ alias });
  return { status: 200, body: { extension: view(alias, found[1]) } };
}
