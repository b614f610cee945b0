/** How much an Accept header likes a type, 0 to 1: the most exact of its ranges counts. Absent: everything is welcome.  Spec: RFC 9110, 12.5.1. */
export function liking(accept: string | undefined, type: string): number {
  if (accept === undefined || accept.trim() === '') return 1;
  const [family] = type.split('/');
  let best = { exactness: -1, q: 0 };
  for (const range of accept.split(',')) {
    const [name = '', ...params] = range.split(';').map((part) => part.trim().toLowerCase());
    const exactness = name === type ? 2 : name === `${family}/*` ? 1 : name === '*/*' ? 0 : -1;
    if (exactness <= best.exactness) continue;
    const q = Number(params.find((param) => param.startsWith('q='))?.slice(2) ?? 1);
    best = { exactness, q: Number.isFinite(q) ? q : 0 };
  }
  return best.exactness < 0 ? 0 : best.q;
}
