import { body, either, type Infer, leaf, list, required, since, until } from '../../../lib/shape.ts';
import {
  anything,
  description,
  diskConfig,
  flag,
  hostname,
  ipv4,
  ipv6,
  metadata,
  name,
  str,
  trustedCertificates,
  uuid,
} from './server-common.ts';

// Bodies of the actions on a server that stays where it is.  Spec: compute api-ref, "Servers - run an action".

/** `{ word: anything }`: the word alone says what is wanted. */
const bare = <W extends string>(word: W) => body({ [word]: required(anything) });

export const pause = bare('pause');
export const unpause = bare('unpause');
export const suspend = bare('suspend');
export const resume = bare('resume');
export const unlock = bare('unlock');
export const unrescue = bare('unrescue');
export const restore = bare('restore');
export const injectNetworkInfo = bare('injectNetworkInfo');
export const triggerCrashDump = body({ trigger_crash_dump: required(leaf<null>({ type: 'null' })) });
export const changePassword = body({ changePassword: required(body({ adminPass: required(str()) })) });
export const lock = body({
  lock: required(
    either(
      until('2.72', anything),
      since(
        '2.73',
        leaf<{ locked_reason?: string } | null>({
          type: ['object', 'null'],
          properties: { locked_reason: { type: 'string', minLength: 1, maxLength: 255 } },
          additionalProperties: false,
        }),
      ),
    ),
  ),
});
export const resetState = body({
  'os-resetState': required(body({ state: required(leaf<'active' | 'error'>({ type: 'string', enum: ['active', 'error'] })) })),
});
export const rescue = body({
  rescue: required(
    leaf<{ adminPass?: string; rescue_image_ref?: string } | null>({
      type: ['object', 'null'],
      properties: { adminPass: { type: 'string' }, rescue_image_ref: { type: 'string', format: 'uuid' } },
      additionalProperties: false,
    }),
  ),
});

export const createImage = body({ createImage: required(body({ name: required(name), metadata })) });
export type CreateImage = Infer<typeof createImage>;
export const createBackup = body({
  createBackup: required(
    body({
      name: required(name),
      backup_type: required(str()),
      rotation: required(leaf<number | string>({ type: ['integer', 'string'], pattern: '^[0-9]*$', minimum: 0, minLength: 1 })),
      metadata,
    }),
  ),
});
export type CreateBackup = Infer<typeof createBackup>;

export const rebuild = body({
  rebuild: required(
    body({
      imageRef: required(uuid),
      name,
      adminPass: str(),
      metadata,
      preserve_ephemeral: flag,
      'OS-DCF:diskConfig': diskConfig,
      accessIPv4: ipv4,
      accessIPv6: ipv6,
      personality: until('2.56', list(body({ path: str(), contents: str({ format: 'base64' }) }))),
      description: since('2.19', description),
      key_name: since(
        '2.54',
        leaf<string | null>({ oneOf: [{ type: 'string', minLength: 1, maxLength: 255, format: 'name' }, { type: 'null' }] }),
      ),
      user_data: since('2.57', leaf<string | null>({ oneOf: [{ type: 'string', format: 'base64', maxLength: 65_535 }, { type: 'null' }] })),
      trusted_image_certificates: trustedCertificates,
      hostname,
    }),
  ),
});
export type Rebuild = Infer<typeof rebuild>;
