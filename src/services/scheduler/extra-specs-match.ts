import { compareText, pythonFloat } from '../../model/python.ts';

const operators: Readonly<Record<string, (value: string, wish: string) => boolean>> = {
  '=': (value, wish) => pythonFloat(value) >= pythonFloat(wish),
  '<in>': (value, wish) => value.includes(wish),
  '==': (value, wish) => pythonFloat(value) === pythonFloat(wish),
  '!=': (value, wish) => pythonFloat(value) !== pythonFloat(wish),
  '>=': (value, wish) => pythonFloat(value) >= pythonFloat(wish),
  '<=': (value, wish) => pythonFloat(value) <= pythonFloat(wish),
  's==': (value, wish) => value === wish,
  's!=': (value, wish) => value !== wish,
  's<': (value, wish) => compareText(value, wish) < 0,
  's<=': (value, wish) => compareText(value, wish) <= 0,
  's>': (value, wish) => compareText(value, wish) > 0,
  's>=': (value, wish) => compareText(value, wish) >= 0,
};

/** Whether a value satisfies an extra spec's demand: an operator and operands, or the very text. Numeric operators throw on what is no number.
 *  Spec: Nova's extra_specs_ops; `=` means at least, words beyond the first operand are ignored. */
export function matchesSpec(value: string, demand: string): boolean {
  const words = demand.split(/\s+/).filter((word) => word !== '');
  const operator = words.shift();
  if (operator === '<or>') {
    if (words.length === 0) throw new Error('pop from empty list');
    return words.some((word, at) => at % 2 === 0 && word === value);
  }
  if (operator === '<all-in>') return words.length > 0 && words.every((word) => value.includes(word));
  const compare = operator === undefined ? undefined : operators[operator];
  if (!compare) return value === demand;
  return words[0] !== undefined && compare(value, words[0]);
}
