/** A small seeded generator (mulberry32), so that a failure can be repeated. */
export interface Dice {
  /** 0 to below 1. */
  next(): number;
  /** 0 to below n. */
  below(n: number): number;
  chance(share: number): boolean;
  pick<T>(list: readonly T[]): T;
}
export function dice(seed: number): Dice {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    next,
    below,
    chance: (share) => next() < share,
    pick: <T>(list: readonly T[]) => list[below(list.length)] as T, // lists of this folder are never empty
  };
}

export const texts: readonly string[] = [
  ...['', ' ', 'a'.repeat(300), 'a'.repeat(70_000), "' OR 1=1 --", '../../../etc/passwd', '%00', '\u0000', '\ud800', '\udfff\ud800'],
  ...['💥'.repeat(100), '-1', '1e400', 'NaN', 'null', '$' + '{7*7}', '{{7*7}}', '<script>', '\r\nX-Injected: yes', '9'.repeat(400), '2.1'],
  ...['(((((', '(a+)+$', '[a-', '*', '\\', '::1', '999.1.1.1', '10.0.0.0/99', '::/0', '0.0.0.0/0', 'latest', '__proto__', 'constructor'],
  ...['True', '2026-99-99T99:99:99Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59+99:99', '00000000-0000-0000-0000-000000000000'],
  ...['\u202eabc', '\ufffe', 'e\u0301'.repeat(200), 'in:', 'in:"', 'neq:', 'gt:x', 'ssh-rsa AAAA', 'AAAA====', 'a,b,,c', 'id:desc,,'],
];
export const numbers: readonly number[] = [0, -0, -1, 1, 1.5, 1e308, 2 ** 53, 2 ** 63, -2_147_483_649, 2_147_483_648, 1e21, 5e-324, 65_536];
/** Bytes that stand for themselves in a path. */
export const oddIds: readonly string[] = [
  ...['0', '-1', 'x'.repeat(4000), '%ff%fe', '%00', '%2e%2e%2f', '%ED%A0%80', '%', '%zz', '%F0%9F%92%A5', "'%20or%201=1--", '%0d%0aX:%201'],
  ...['..', '.', '__proto__', 'constructor', 'detail', '00000000-0000-0000-0000-000000000000', '%2F', ';', '%25%30%30', '9'.repeat(100)],
];
export const queryWords: readonly string[] = [
  ...['limit', 'marker', 'sort_key', 'sort_dir', 'sort', 'name', 'status', 'changes-since', 'changes-before', 'all_tenants', 'deleted'],
  ...['tags', 'not-tags', 'tags-any', 'fields', 'fixed_ips', 'ip', 'ip6', 'flavor', 'image', 'host', 'minRam', 'minDisk', 'is_public'],
  ...[
    'created_at',
    'updated_at',
    'size_min',
    'network_id',
    'user_id',
    'project_id',
    'domain_id',
    'parent_id',
    'scope.project.id',
    'role.id',
  ],
  ...['visibility', 'owner', 'member_status', 'page_reverse', 'device_id', 'uuid', 'availability_zone', 'id', 'locked', 'reservation_id'],
  ...['effective', 'enabled', 'password_expires_at', 'name__contains', 'binary', 'binary_name', 'nocatalog', 'reserved', '__proto__', ''],
];

/** Any JSON value; one in three holds others. */
export function anyValue(random: Dice, depth = 0): unknown {
  const kind = random.below(depth > 3 ? 8 : 11);
  if (kind < 3) return random.pick(texts);
  if (kind === 3) return random.pick(numbers);
  if (kind === 4) return null;
  if (kind === 5) return random.chance(0.5);
  if (kind === 6) return [];
  if (kind === 7) return {};
  if (kind === 8) return Array.from({ length: random.below(5) }, () => anyValue(random, depth + 1));
  if (kind === 9) return Array.from({ length: 300 }, (_, at) => at);
  return Object.fromEntries(Array.from({ length: 1 + random.below(4) }, () => [random.pick(texts), anyValue(random, depth + 1)]));
}

/** A body of which one place is broken; it comes as text that is still JSON. */
export function spoil(random: Dice, body: unknown): string {
  const places: { holder: Record<string, unknown>; key: string }[] = [];
  const copy: Record<string, unknown> = { root: structuredClone(body) };
  const walk = (holder: Record<string, unknown>) => {
    for (const [key, value] of Object.entries(holder)) {
      places.push({ holder, key });
      if (value !== null && typeof value === 'object') walk(value as Record<string, unknown>);
    }
  };
  walk(copy);
  const { holder, key } = random.pick(places);
  const value = holder[key];
  const deed = random.below(10);
  if (deed < 5) holder[key] = anyValue(random);
  else if (deed === 5) delete holder[key];
  else if (deed === 6) holder[key] = [value, value];
  else if (deed === 7) holder[key] = { [random.pick(texts)]: value };
  else if (deed === 8) holder[random.pick(texts)] = anyValue(random);
  else holder[key] = typeof value === 'string' ? `${value}${random.pick(texts)}` : String(value);
  return JSON.stringify(copy.root) ?? '';
}

/** Bytes that no handler should ever see as a value. */
export function brokenBytes(random: Dice, body: string): Buffer {
  const cut = random.below(body.length + 1);
  switch (random.below(12)) {
    case 0:
      return Buffer.from([0xff, 0xfe, 0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]);
    case 1:
      return Buffer.from('['.repeat(50_000) + ']'.repeat(50_000));
    case 2:
      return Buffer.from(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`);
    case 3:
      return Buffer.from(body.replace(/"([^"]*)"\s*}/, '"\\ud800$1"}'));
    case 4:
      return Buffer.from(body.slice(0, cut));
    case 5:
      return Buffer.from(body.replace('{', '{"__proto__":{"x":1},'));
    case 6:
      return Buffer.alloc(200_000, 0x20);
    case 7:
      return Buffer.from(`\ufeff${body}`);
    case 8:
      return Buffer.from(body, 'utf16le');
    case 9:
      return Buffer.from(body.replace('{', `{"x":${'9'.repeat(5000)},`));
    case 10:
      return Buffer.from(`{"x":"${'y'.repeat(1_200_000)}"}`);
    default:
      return Buffer.concat([Buffer.from(body.slice(0, cut)), Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80]), Buffer.from(body.slice(cut))]);
  }
}
