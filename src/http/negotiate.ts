import type { IncomingHttpHeaders } from 'node:http';
import { atLeast, type Version } from '../lib/shape.ts';
import { CloudError } from '../model/errors.ts';

/** A service's microversions. `legacyHeader` is its own older header, without the service's name in it.
 *  Spec: API-WG microversion specification. */
export interface Microversions {
  readonly service: string;
  readonly min: Version;
  readonly max: Version;
  readonly legacyHeader?: string;
  /** How the header that names the version is spelt in `Vary`. */
  readonly vary?: string;
  /** What counts as a version at all; what does not is a 400. By default: what could be one of ours. */
  readonly form?: RegExp;
  /** All of them, oldest first. */
  readonly all: readonly Version[];
}

const FORM = /^([1-9]\d*)\.([1-9]\d*|0)$/;

/** The version a request asks for. Throws 400 for one that is not a version, 406 (with the asked one in `params.version`) for one that is not served. */
export function negotiate(micro: Microversions, headers: IncomingHttpHeaders): Version {
  const asked = fromStandard(micro, headers) ?? fromLegacy(micro, headers);
  if (asked === undefined) return micro.min;
  if (asked === 'latest') return micro.max;
  if (!(micro.form ?? FORM).test(asked)) {
    throw new CloudError(
      'version.malformed',
      'invalid',
      `API Version String ${asked.slice(0, 50)} is of invalid format. Must be of format MajorNum.MinorNum.`,
      { version: asked.slice(0, 50) },
    );
  }
  const version = asked as Version;
  if (!atLeast(version, micro.min) || !atLeast(micro.max, version)) {
    throw new CloudError(
      'version.not_supported',
      'notAcceptable',
      `Version ${asked.slice(0, 50)} is not supported by the API. Minimum is ${micro.min} and maximum is ${micro.max}.`,
      { version: asked.slice(0, 50), min: micro.min, max: micro.max },
    );
  }
  return version;
}

function fromStandard(micro: Microversions, headers: IncomingHttpHeaders): string | undefined {
  const header = headers['openstack-api-version'];
  if (header === undefined) return undefined;
  let found: string | undefined;
  for (const pair of String(header).split(',')) {
    const words = pair.trim().split(/\s+/);
    if (words[0]?.toLowerCase() === micro.service && words.length === 2) found = words[1];
  }
  return found;
}

function fromLegacy(micro: Microversions, headers: IncomingHttpHeaders): string | undefined {
  if (!micro.legacyHeader) return undefined;
  const header = headers[micro.legacyHeader.toLowerCase()];
  return header === undefined ? undefined : String(header).split(',').at(-1)?.trim();
}
