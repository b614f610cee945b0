import { invalidInput } from '../../model/errors.ts';

/** A test for texts, made from a regular expression that a client sent. It takes time in proportion to the text whatever the expression is
 *  (all states are walked at once, nothing is tried twice), so that no filter can hold up the process.
 *  Throws invalidInput for looks ahead or behind, back references, and expressions that grow beyond 5,000 steps. */
export function compilePattern(source: string): (text: string) => boolean {
  const program: Step[] = [];
  emit(parse(source), program);
  program.push({ op: 'match' });
  return (text) => runs(program, text);
}

type Fits = (code: number) => boolean;
type Node =
  | { kind: 'char'; fits: Fits }
  | { kind: 'start' | 'end' | 'boundary' | 'inside' }
  | { kind: 'all' | 'any'; of: Node[] }
  | { kind: 'repeat'; of: Node; min: number; max: number };
type Step = { op: 'char'; fits: Fits } | { op: 'split'; to: [number, number] } | { op: 'start' | 'end' | 'boundary' | 'inside' | 'match' };

const MAX_STEPS = 5000;
const isDigit: Fits = (c) => c >= 48 && c <= 57;
const isWord: Fits = (c) =>
  isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || (c > 127 && /\p{L}|\p{N}/u.test(String.fromCodePoint(c)));
const isSpace: Fits = (c) => c === 32 || (c >= 9 && c <= 13) || c === 160;
const not =
  (fits: Fits): Fits =>
  (c) =>
    !fits(c);
const CLASSES: Readonly<Record<string, Fits>> = { d: isDigit, D: not(isDigit), w: isWord, W: not(isWord), s: isSpace, S: not(isSpace) };
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };
const refuse = (what: string): never => {
  throw invalidInput({ why: `The filter's regular expression cannot be used: ${what}.` });
};

function parse(source: string): Node {
  const signs = [...source];
  let at = 0;
  const alternatives = (): Node => {
    const of = [sequence()];
    while (signs[at] === '|') {
      at++;
      of.push(sequence());
    }
    return of.length === 1 && of[0] ? of[0] : { kind: 'any', of };
  };
  const sequence = (): Node => {
    const of: Node[] = [];
    while (at < signs.length && signs[at] !== '|' && signs[at] !== ')') of.push(quantified(single()));
    return { kind: 'all', of };
  };
  const quantified = (node: Node): Node => {
    const rest = signs.slice(at, at + 12).join('');
    const found = /^(?:[*+?]|\{(\d{1,4})(,(\d{0,4}))?\})[?+]?/.exec(rest);
    if (!found) return node;
    at += found[0].length;
    const sign = found[0][0];
    const [min, max] =
      sign === '*'
        ? [0, Number.POSITIVE_INFINITY]
        : sign === '+'
          ? [1, Number.POSITIVE_INFINITY]
          : sign === '?'
            ? [0, 1]
            : [Number(found[1]), found[2] === undefined ? Number(found[1]) : found[3] ? Number(found[3]) : Number.POSITIVE_INFINITY];
    if (Math.max(min, Number.isFinite(max) ? max : 0) > 255) refuse('it repeats a part more than 255 times');
    return quantified({ kind: 'repeat', of: node, min, max });
  };
  const single = (): Node => {
    const sign = signs[at++] ?? '';
    if (sign === '^') return { kind: 'start' };
    if (sign === '$') return { kind: 'end' };
    if (sign === '.') return { kind: 'char', fits: (c) => c !== 10 };
    if (sign === '[') return { kind: 'char', fits: bracket() };
    if (sign === '\\') return escaped();
    if (sign !== '(') return literal(sign);
    if (signs[at] === '?') {
      const opening = /^\?(?::|P?<[A-Za-z_]\w*>)/.exec(signs.slice(at, at + 64).join(''));
      if (!opening) return refuse('looks ahead or behind are not supported');
      at += opening[0].length;
    }
    const inner = alternatives();
    if (signs[at++] !== ')') refuse('a ) is missing');
    return inner;
  };
  const escaped = (): Node => {
    const sign = signs[at++] ?? refuse('it ends with a \\');
    if (sign === 'b') return { kind: 'boundary' };
    if (sign === 'B') return { kind: 'inside' };
    if (/[1-9]|k/.test(sign)) refuse('back references are not supported');
    const fits = CLASSES[sign];
    return fits ? { kind: 'char', fits } : literal(String.fromCodePoint(escapedCode(sign)));
  };
  const escapedCode = (sign: string): number => {
    const hex = sign === 'x' ? /^[0-9a-f]{2}/i : sign === 'u' ? /^[0-9a-f]{4}/i : undefined;
    const digits = hex?.exec(signs.slice(at, at + 4).join(''))?.[0];
    if (digits) {
      at += digits.length;
      return Number.parseInt(digits, 16);
    }
    return ESCAPES[sign] ?? sign.codePointAt(0) ?? 0;
  };
  const bracket = (): Fits => {
    const negated = signs[at] === '^';
    if (negated) at++;
    const parts: Fits[] = [];
    for (let first = true; first || signs[at] !== ']'; first = false) {
      if (at >= signs.length) refuse('a ] is missing');
      const low = classSign();
      if (typeof low === 'function') parts.push(low);
      else if (signs[at] === '-' && signs[at + 1] !== ']' && at + 1 < signs.length) {
        at++;
        const high = classSign();
        if (typeof high === 'function') refuse('a range ends with a class');
        else parts.push((c) => c >= low && c <= high);
      } else parts.push((c) => c === low);
    }
    at++;
    return (c) => parts.some((fits) => fits(c)) !== negated;
  };
  const classSign = (): number | Fits => {
    const sign = signs[at++] ?? '';
    if (sign !== '\\') return sign.codePointAt(0) ?? 0;
    const next = signs[at++] ?? refuse('it ends with a \\');
    return CLASSES[next] ?? (next === 'b' ? 8 : escapedCode(next));
  };
  const whole = alternatives();
  if (at < signs.length) refuse('a ( is missing');
  return whole;
}
function literal(sign: string): Node {
  const code = sign.codePointAt(0) ?? 0;
  return { kind: 'char', fits: (c) => c === code };
}

function emit(node: Node, program: Step[]): void {
  if (program.length > MAX_STEPS) refuse('it is too long');
  if (node.kind === 'char') program.push({ op: 'char', fits: node.fits });
  else if (node.kind === 'all') for (const part of node.of) emit(part, program);
  else if (node.kind === 'any') emitAny(node.of, program);
  else if (node.kind === 'repeat') emitRepeat(node, program);
  else program.push({ op: node.kind });
}
function emitAny(of: readonly Node[], program: Step[]): void {
  const ends: { op: 'split'; to: [number, number] }[] = [];
  for (const [index, part] of of.entries()) {
    if (index === of.length - 1) {
      emit(part, program);
      break;
    }
    const fork: { op: 'split'; to: [number, number] } = { op: 'split', to: [program.length + 1, 0] };
    program.push(fork);
    emit(part, program);
    const end: { op: 'split'; to: [number, number] } = { op: 'split', to: [0, 0] };
    ends.push(end);
    program.push(end);
    fork.to[1] = program.length;
  }
  for (const end of ends) end.to = [program.length, program.length];
}
function emitRepeat(node: { of: Node; min: number; max: number }, program: Step[]): void {
  for (let count = 0; count < node.min; count++) emit(node.of, program);
  if (node.max === Number.POSITIVE_INFINITY) {
    const fork: { op: 'split'; to: [number, number] } = { op: 'split', to: [program.length + 1, 0] };
    const start = program.length;
    program.push(fork);
    emit(node.of, program);
    program.push({ op: 'split', to: [start, start] });
    fork.to[1] = program.length;
    return;
  }
  const forks: { op: 'split'; to: [number, number] }[] = [];
  for (let count = node.min; count < node.max; count++) {
    const fork: { op: 'split'; to: [number, number] } = { op: 'split', to: [program.length + 1, 0] };
    forks.push(fork);
    program.push(fork);
    emit(node.of, program);
  }
  for (const fork of forks) fork.to[1] = program.length;
}

function runs(program: readonly Step[], text: string): boolean {
  const codes = [...text].map((sign) => sign.codePointAt(0) ?? 0);
  const seenAt = new Int32Array(program.length).fill(-1);
  let current: number[] = [];
  let matched = false;
  const word = (index: number) => {
    const code = codes[index];
    return code !== undefined && isWord(code);
  };
  const add = (list: number[], first: number, position: number) => {
    const stack = [first];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      if (seenAt[pc] === position) continue;
      seenAt[pc] = position;
      const step = program[pc];
      if (!step) continue;
      if (step.op === 'split') stack.push(step.to[1], step.to[0]);
      else if (step.op === 'char') list.push(pc);
      else if (step.op === 'match') matched = true;
      else if (holds(step.op, position)) stack.push(pc + 1);
    }
  };
  const holds = (op: 'start' | 'end' | 'boundary' | 'inside', position: number) =>
    op === 'start'
      ? position === 0
      : op === 'end'
        ? position === codes.length
        : (word(position - 1) !== word(position)) === (op === 'boundary');
  for (let position = 0; position <= codes.length && !matched; position++) {
    add(current, 0, position);
    const next: number[] = [];
    const code = codes[position];
    if (code === undefined || matched) break;
    for (const pc of current) {
      const step = program[pc];
      if (step?.op === 'char' && step.fits(code)) add(next, pc + 1, position + 1);
    }
    current = next;
  }
  return matched;
}

/** What a pattern means when it has no special signs: `^text$` is exactly the text, `text` is anywhere. Undefined for others. */
export function plainPattern(source: string): { exact: boolean; text: string } | undefined {
  const exact = source.startsWith('^') && source.endsWith('$') && source.length > 1;
  const text = exact ? source.slice(1, -1) : source;
  return /[\\^$.|?*+()[\]{}]/.test(text) ? undefined : { exact, text };
}
