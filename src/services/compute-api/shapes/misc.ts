import { body, during, either, leaf, list, required, since, until } from '../../../lib/shape.ts';
import { WHOLE } from './query.ts';
import { str, tag } from './server-common.ts';

/** Body of PUT /servers/{id}/tags.  Spec: compute api-ref "Replace tags". */
export const tagsReplace = body({ tags: required(list(tag, { maxItems: 50 })) });

const whole = list(str(WHOLE));
/** Query of the image lists: other words are filters by property.  Spec: compute api-ref "List Images". */
export const imageListQuery = body({ limit: whole, page_size: whole, offset: whole }, { additionalProperties: true });

const words = (...values: string[]) => leaf<string>({ type: 'string', enum: values });
const protocols = ['vnc', 'spice', 'serial', 'rdp'];
const types = ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5'];
/** Body of POST /servers/{id}/remote-consoles.  Spec: compute api-ref "Create Console"; microversions 2.6, 2.8 and 2.99. */
export const remoteConsole = body({
  remote_console: required(
    body({
      protocol: required(either(until('2.7', words(...protocols)), since('2.8', words(...protocols, 'mks')))),
      type: required(
        either(
          until('2.7', words(...types)),
          either(during([['2.8', '2.98']], words(...types, 'webmks')), since('2.99', words(...types, 'webmks', 'spice-direct'))),
        ),
      ),
    }),
  ),
});
/** Bodies of the older console actions, to 2.5. */
export const vncConsole = body({ 'os-getVNCConsole': required(body({ type: required(words('novnc', 'xvpvnc')) })) });
export const spiceConsole = body({ 'os-getSPICEConsole': required(body({ type: required(words('spice-html5')) })) });
export const serialConsole = body({ 'os-getSerialConsole': required(body({ type: required(words('serial')) })) });
