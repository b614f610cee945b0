/** Rules of a policy.yaml or policy.json by name; an empty file has none. Throws an Error that says what cannot be read. */
export async function readRules(text: string): Promise<Record<string, string>> {
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new Error(`the policy file is neither YAML nor JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('the policy file must map rule names to rules');
  const rules: Record<string, string> = {};
  for (const [name, rule] of Object.entries(value)) {
    if (typeof rule !== 'string') throw new Error(`policy rule "${name}" must be text, such as "role:admin"`);
    rules[name] = rule;
  }
  return rules;
}
