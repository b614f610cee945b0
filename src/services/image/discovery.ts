import type { Call, Reply } from '../../http/call.ts';
import { imageImportMethod, imageSingleStore, imageStagingAbsent } from '../../model/errors-image.ts';
import { type ImageParts, seenImage } from './find-image.ts';
import { objectBody } from './images.ts';

/** No import method is enabled: data comes by PUT only. */
export const importInfo = (): Reply => ({
  status: 200,
  body: { 'import-methods': { description: 'Import methods available.', type: 'array', value: [] } },
});

/** There is one store, and as a service with one store says it: 404. */
export function storesInfo(): Reply {
  throw imageSingleStore({});
}

export function stageImage(): Reply {
  throw imageStagingAbsent({});
}

export async function importImage(parts: ImageParts, call: Call): Promise<Reply> {
  const seen = await seenImage(parts, call);
  call.allow(seen.target);
  const { method } = objectBody(call.body);
  const name: unknown = method !== null && typeof method === 'object' && 'name' in method ? method.name : undefined;
  throw imageImportMethod({ method: String(name).slice(0, 50) });
}
