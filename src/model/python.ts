/** Python's str() and number syntax, where verdicts depend on them. */

/** Digits of any script as ASCII, blanks stripped, underscores between digits dropped; undefined where Python's int() and float() refuse. */
function plainNumber(text: string): string | undefined {
  let word = '';
  for (const sign of text.trim()) word += /\p{Nd}/u.test(sign) ? digit(sign) : sign;
  if (/^_|_$|__|_[^\d]|[^\d]_/.test(word)) return undefined;
  return word.replaceAll('_', '');
}
/** Decimal digits of each script stand in rows of ten: the place in the row is the value. */
function digit(sign: string): number {
  const code = sign.codePointAt(0)!;
  if (code < 128) return code - 48;
  if (code >= 0x1d7ce && code <= 0x1d7ff) return (code - 0x1d7ce) % 10;
  let start = code;
  while (code - start < 9 && /\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  return (code - start) % 10;
}

/** float(): blanks around, one sign, underscores between digits, inf and nan. Throws for anything else, as float() raises. */
export function pythonFloat(text: string): number {
  const word = plainNumber(text);
  if (word !== undefined) {
    if (/^[+-]?inf(inity)?$/i.test(word)) return word.startsWith('-') ? -Infinity : Infinity;
    if (/^[+-]?nan$/i.test(word)) return Number.NaN;
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return Number(word);
  }
  throw new Error(`could not convert string to float: '${text}'`);
}

/** int(): as float(), but whole decimal numbers only. */
export function pythonInt(text: string): number {
  const word = plainNumber(text);
  if (word === undefined || !/^[+-]?\d+$/.test(word)) throw new Error(`invalid literal for int() with base 10: '${text}'`);
  return Number(word);
}

/** A number that Python would print with a point: 16.0. */
export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
/** A thing whose parts cannot be reached by subscript. */
export class PythonObject {
  readonly fields: Readonly<Record<string, unknown>>;
  constructor(fields: Readonly<Record<string, unknown>>) {
    this.fields = fields;
  }
}

/** JSON.parse that keeps 1.0 apart from 1. */
export function parseJson(text: string): unknown {
  const keep = (_key: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' && /[.eE]/.test(context.source ?? '') ? new PythonFloat(value) : value;
  return JSON.parse(text, keep as (this: unknown, key: string, value: unknown) => unknown); // the third argument is newer than the library's types
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [mantissa = '', power = ''] = value.toExponential().split('e');
    return `${mantissa}e${power[0]}${power.slice(1).padStart(2, '0')}`;
  }
  return Number.isInteger(value) ? `${Object.is(value, -0) ? '-0' : value}.0` : String(value);
}

/** str() of a value. */
export const pythonText = (value: unknown): string => (typeof value === 'string' ? value : pythonRepr(value));

function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') {
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    const body = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
    return quote + (quote === "'" ? body.replaceAll("'", "\\'") : body) + quote;
  }
  if (value instanceof PythonFloat) return floatText(value.value);
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : floatText(value);
  if (value instanceof PythonObject) return pythonRepr(value.fields);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${pythonRepr(key)}: ${pythonRepr(item)}`)
    .join(', ')}}`;
}

/** Order of texts by their characters, as Python compares them: not by UTF-16 halves. */
export function compareText(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
