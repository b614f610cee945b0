import { randomInt } from 'node:crypto';

/** A host name made of a server's name: Latin letters, digits, dashes and dots, at most 63.  Spec: Nova's sanitize_hostname. */
export function hostNameOf(name: string, uuid: string): string {
  const clean = name
    .slice(0, 63)
    .replaceAll(/[._ ]/g, '-')
    .replaceAll(/[^A-Za-z0-9-]+/g, '')
    .toLowerCase()
    .replaceAll(/^-+|-+$/g, '');
  return clean === '' ? `Server-${uuid}` : clean;
}

/** `web-1`, `web-2` ... when several are made of one request; the name stays within 255 signs. */
export const nameOf = (name: string, index: number, count: number): string => {
  if (count === 1) return name;
  const suffix = `-${index + 1}`;
  return `${name.slice(0, 255 - suffix.length)}${suffix}`;
};

// Signs that look alike are left out, as in Nova.
const SETS = ['23456789', 'ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz'] as const;
const pick = (signs: string) => signs[randomInt(signs.length)] ?? '';

/** A password of 12 signs with at least one of each sort. */
export function newPassword(length = 12): string {
  const signs = [...SETS.map(pick), ...Array.from({ length: length - SETS.length }, () => pick(SETS.join('')))];
  for (let at = signs.length - 1; at > 0; at--) {
    const other = randomInt(at + 1);
    [signs[at], signs[other]] = [signs[other] ?? '', signs[at] ?? ''];
  }
  return signs.join('');
}

/** `r-` and eight signs, as Nova's reservation ids. */
export const newReservationId = (): string => `r-${Array.from({ length: 8 }, () => pick('0123456789abcdefghijklmnopqrstuvwxyz')).join('')}`;
