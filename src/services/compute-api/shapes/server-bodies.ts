import { body, type Infer, leaf, required, since } from '../../../lib/shape.ts';
import { anything, description, diskConfig, hostname, ipv4, ipv6, metadata, metadataItem, name } from './server-common.ts';

/** Body of PUT /servers/{id}.  Spec: compute api-ref "Update server". */
export const serverUpdate = body({
  server: required(
    body({
      name,
      'OS-DCF:diskConfig': diskConfig,
      accessIPv4: ipv4,
      accessIPv6: ipv6,
      description: since('2.19', description),
      hostname,
      pinned_availability_zone: since('2.104', leaf<string | null>({ type: ['string', 'null'], minLength: 1, maxLength: 255 })),
    }),
  ),
});
export type ServerUpdate = Infer<typeof serverUpdate>;

export const serverMetadata = body({ metadata: required(metadata) });
export const serverMetadataItem = body({ meta: required(metadataItem) });

export const startServer = body({ 'os-start': required(anything) });
export const stopServer = body({ 'os-stop': required(anything) });
export const forceDeleteServer = body({ forceDelete: required(anything) });
export const rebootServer = body({
  reboot: required(body({ type: required(leaf<string>({ type: 'string', enum: ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft'] })) })),
});
export const consoleOutput = body({
  'os-getConsoleOutput': required(
    body({ length: leaf<number | string | null>({ type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$', minimum: -1 }) }),
  ),
});
