import { compilePolicy } from '../../model/policy.ts';
import { computePolicyRules } from '../../model/policy-rules.ts';

/** Rules of a policy.yaml or policy.json by name; each value is a rule in oslo.policy's language. An empty file has none.
 *  Throws an Error that says what cannot be read: not YAML, not a mapping, a rule that is not text or not in the language. */
export async function readPolicyFile(text: string): Promise<Record<string, string>> {
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
  compilePolicy(computePolicyRules, rules);
  return rules;
}
