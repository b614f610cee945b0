import type { Provider } from '../../db/tables/placement/providers.ts';
import type { Call } from '../../http/call.ts';
import { answerAt, from } from '../../lib/answer.ts';
import { pathTo } from './answers.ts';
import type { PlacementParts } from './parts.ts';

/** A provider as the call's version shows it. */
export function providerView(parts: PlacementParts, call: Call | Call<Buffer>, provider: Provider): object {
  const url = pathTo(parts, call, `/resource_providers/${provider.uuid}`);
  const link = (rel: string) => ({ rel, href: `${url}/${rel}` });
  const view = {
    uuid: provider.uuid,
    name: provider.name,
    generation: provider.generation,
    links: [
      { rel: 'self', href: url },
      link('inventories'),
      link('usages'),
      from('1.1', () => link('aggregates')),
      from('1.6', () => link('traits')),
      from('1.11', () => link('allocations')),
    ],
    parent_provider_uuid: from('1.14', provider.parentUuid),
    root_provider_uuid: from('1.14', provider.rootUuid),
  };
  const settled = answerAt(call.version, view) as { links: unknown[] };
  return { ...settled, links: settled.links.filter((one) => one !== undefined) };
}
