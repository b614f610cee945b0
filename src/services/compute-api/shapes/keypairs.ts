import { body, during, either, type Infer, leaf, required, requiredSince, type Shape, since } from '../../../lib/shape.ts';
import { query, texts, WHOLE } from './query.ts';

const name = (signs: string) =>
  leaf<string>({ type: 'string', minLength: 1, maxLength: 255, pattern: `^(?! )[a-zA-Z0-9 _${signs}-]+(?<! )$` });

export const keypairCreate = body({
  keypair: required(
    body({
      // One of the two holds at every version, so it is never absent.
      name: required(either(during([['0.0', '2.91']], name('')), since('2.92', name('@.'))) as Shape<string>),
      type: since('2.2', leaf<'ssh' | 'x509'>({ type: 'string', enum: ['ssh', 'x509'] })),
      public_key: requiredSince('2.92', leaf<string>({ type: 'string' })),
      user_id: since('2.10', leaf<string>({ type: 'string', maxLength: 255 })),
    }),
  ),
});
export type KeypairCreate = Infer<typeof keypairCreate>;

const user = since('2.10', texts());
export const keypairQuery = query({ user_id: user }, '2.75');
export const keypairListQuery = query({ user_id: user, limit: since('2.35', texts(WHOLE)), marker: since('2.35', texts()) }, '2.75');
