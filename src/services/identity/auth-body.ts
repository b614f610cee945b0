import { type Json, leaf } from '../../lib/shape.ts';

/** A thing by its id, or by its name and its domain's id or name. */
export interface Reference {
  id?: string;
  name?: string;
  domain?: { id?: string; name?: string };
}
export interface AuthBody {
  auth: {
    identity: {
      methods: string[];
      password?: { user: Reference & { password: string } };
      token?: { id: string };
      application_credential?: { id?: string; name?: string; secret: string; user?: Reference };
    };
    scope?:
      | 'unscoped'
      | {
          unscoped?: object;
          project?: Reference;
          domain?: { id?: string; name?: string };
          system?: { all?: boolean };
          'OS-TRUST:trust'?: object;
        };
  };
}

const object = (properties: Json, required: string[] = []): Json => ({ type: 'object', properties, required });
const id = { type: 'string', maxLength: 255 };
const domain = object({ id, name: id });
const reference = (more: Json = {}, required: string[] = []) => object({ id, name: id, domain, ...more }, required);
const secret = { type: 'string', maxLength: 4096 };

/** Body of `POST /auth/tokens`; unknown fields are let through, as Keystone does.  Spec: identity api-ref "Authentication and token management". */
export const authBody = leaf<AuthBody>(
  object(
    {
      auth: object(
        {
          identity: object(
            {
              methods: { type: 'array', items: { type: 'string', maxLength: 255 }, minItems: 1, maxItems: 10 },
              password: object({ user: reference({ password: secret }, ['password']) }, ['user']),
              token: object({ id: { type: 'string', maxLength: 8192 } }, ['id']),
              application_credential: object({ id, name: id, secret, user: reference() }, ['secret']),
            },
            ['methods'],
          ),
          scope: {
            oneOf: [
              { type: 'string', enum: ['unscoped'] },
              object({ project: reference(), domain, system: object({ all: { type: 'boolean' } }), unscoped: { type: 'object' } }),
            ],
          },
        },
        ['identity'],
      ),
    },
    ['auth'],
  ),
);
