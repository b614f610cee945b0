import { atLeast, body, type Infer, leaf, list, required, type Shape, type Version } from '../../../lib/shape.ts';
import { str, uuid } from './server-common.ts';

const NETWORK = ['network-changed', 'network-vif-plugged', 'network-vif-unplugged', 'network-vif-deleted'];
const LATER: readonly (readonly [Version, string])[] = [
  ['2.51', 'volume-extended'],
  ['2.76', 'power-update'],
  ['2.82', 'accelerator-request-bound'],
  ['2.93', 'volume-reimaged'],
];
const eventName: Shape<string> = {
  ...leaf<string>({}),
  edges: LATER.map(([version]) => version),
  schema: (version) => ({
    type: 'string',
    enum: [...NETWORK, ...LATER.flatMap(([from, word]) => (atLeast(version, from) ? [word] : []))],
  }),
};

/** Body of POST /os-server-external-events. */
export const externalEvents = body({
  events: required(
    list(
      body({
        server_uuid: required(uuid),
        name: required(eventName),
        status: str({ enum: ['failed', 'completed', 'in-progress'] }),
        tag: str({ maxLength: 255 }),
      }),
      { minItems: 1 },
    ),
  ),
});
export type ExternalEvents = Infer<typeof externalEvents>;
