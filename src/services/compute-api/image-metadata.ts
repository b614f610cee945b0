import { quotaLimits } from '../../db/tables/compute/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { metadataKeyMismatch } from '../../model/errors-compute.ts';
import { imageMetadataMissing } from '../../model/errors-misc-api.ts';
import { askerOf, imageOf, orGone } from './images.ts';
import type { MiscParts } from './misc-parts.ts';
import { defaultLimits } from './server-parts.ts';
import { checkMetadata } from './server-wish.ts';

type Metadata = Readonly<Record<string, string>>;

/** GET /images/{id}/metadata: the image's own properties.  Spec: compute api-ref "List Image Metadata". */
export async function listImageMetadata(parts: MiscParts, call: Call): Promise<Reply> {
  return { status: 200, body: { metadata: (await imageOf(parts, call)).properties } };
}

/** GET /images/{id}/metadata/{key}.  Throws imageMetadataMissing (404). */
export async function showImageMetadata(parts: MiscParts, call: Call): Promise<Reply> {
  const { properties } = await imageOf(parts, call);
  const key = call.params.key ?? '';
  if (!Object.hasOwn(properties, key)) throw imageMetadataMissing({});
  return { status: 200, body: { meta: { [key]: properties[key] } } };
}

/** POST /images/{id}/metadata: adds items. */
export async function addImageMetadata(parts: MiscParts, call: Call<{ metadata: Metadata }>): Promise<Reply> {
  const { properties } = await imageOf(parts, call);
  await mustFitQuota(parts, call, { ...properties, ...call.body.metadata });
  return { status: 200, body: { metadata: await change(parts, call, call.body.metadata, []) } };
}

/** PUT /images/{id}/metadata: these items and no others. */
export async function replaceImageMetadata(parts: MiscParts, call: Call<{ metadata: Metadata }>): Promise<Reply> {
  const { metadata } = call.body;
  const { properties } = await imageOf(parts, call);
  await mustFitQuota(parts, call, metadata);
  const away = Object.keys(properties).filter((key) => !Object.hasOwn(metadata, key));
  await change(parts, call, metadata, away);
  return { status: 200, body: { metadata } };
}

/** PUT /images/{id}/metadata/{key}.  Throws metadataKeyMismatch (400) when the body names another key. */
export async function setImageMetadata(parts: MiscParts, call: Call<{ meta: Metadata }>): Promise<Reply> {
  const { meta } = call.body;
  if (!Object.hasOwn(meta, call.params.key ?? '')) throw metadataKeyMismatch({});
  const { properties } = await imageOf(parts, call);
  await mustFitQuota(parts, call, { ...properties, ...meta });
  await change(parts, call, meta, []);
  return { status: 200, body: { meta } };
}

/** DELETE /images/{id}/metadata/{key}.  Throws imageMetadataMissing (404). */
export async function removeImageMetadata(parts: MiscParts, call: Call): Promise<Reply> {
  const { properties } = await imageOf(parts, call);
  const key = call.params.key ?? '';
  if (!Object.hasOwn(properties, key)) throw imageMetadataMissing({});
  await change(parts, call, {}, [key]);
  return { status: 204 };
}

const change = async (parts: MiscParts, call: Call, set: Metadata, away: readonly string[]): Promise<Metadata> =>
  (await orGone(parts.imageProxy.change(call.params.id ?? '', set, away, askerOf(call)))).properties;

async function mustFitQuota(parts: MiscParts, call: Call, metadata: Metadata): Promise<void> {
  checkMetadata(metadata, await quotaLimits(parts.db.read, call.caller.projectId ?? '', defaultLimits(parts)));
}
