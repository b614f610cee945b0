const SQLITE_UNIQUE: ReadonlySet<number> = new Set([1555, 2067, 2579]); // primary key, unique, rowid
const MARIADB_DUPLICATE = 1062;
const POSTGRES_UNIQUE = '23505';

/** Whether an error says that a row with the same key exists, on any engine. Inside a transaction on PostgreSQL the transaction is lost after it:
 *  where a double is an expected outcome use insertIgnore. */
export function isUniqueViolation(cause: unknown): boolean {
  for (let error = cause; error instanceof Error; error = error.cause) {
    if ('errcode' in error && typeof error.errcode === 'number' && SQLITE_UNIQUE.has(error.errcode)) return true;
    if ('errno' in error && error.errno === MARIADB_DUPLICATE) return true;
    if ('code' in error && error.code === POSTGRES_UNIQUE) return true;
  }
  return false;
}
