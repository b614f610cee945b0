import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isUuid } from '../lib/ids.ts';

const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const cidr = (text: string, is: (address: string) => boolean, bits: number) => {
  const [address = '', prefix = '', rest] = text.split('/');
  return rest === undefined && is(address) && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
};

const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

/** Formats that shapes may name, as OpenStack reads them. */
export const formats = {
  uuid: (text: string) => isUuid(text),
  ipv4: (text: string) => isIPv4(text),
  ipv6: (text: string) => isIPv6(text),
  'ip-address': (text: string) => isIP(text) !== 0,
  cidr: (text: string) => cidr(text, isIPv4, 32) || cidr(text, isIPv6, 128),
  'date-time': (text: string) =>
    /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/.test(text) && !Number.isNaN(Date.parse(text)),
  base64: (text: string) => /^(?:[A-Za-z0-9+/\s]{4})*\s*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\s*$/.test(text.replaceAll(/\s/g, '')),
  hostname: (text: string) => text.length <= 63 && HOSTNAME.test(text),
  fqdn: (text: string) => text.length <= 255 && text.length > 0 && text.split('.').every((label) => HOSTNAME.test(label)),
  uri: (text: string) => URL.canParse(text),
  /** Printable, without blanks at its ends. */
  name: (text: string) => PRINTABLE.test(text) && text.trim() === text,
  /** What legacy mounts take for a name: blanks at its ends are cut off later. */
  'loose-name': (text: string) => PRINTABLE.test(text) && text.trim() !== '',
  regex: (text: string) => {
    try {
      new RegExp(text);
      return true;
    } catch {
      return false;
    }
  },
};
