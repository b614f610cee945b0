import { compilePolicy } from '../../model/policy.ts';
import { readRules } from '../../model/policy-file.ts';
import { computePolicyRules } from '../../model/policy-rules.ts';

/** Rules of a policy.yaml or policy.json by name; each value is a rule in oslo.policy's language. An empty file has none.
 *  Throws an Error that says what cannot be read: not YAML, not a mapping, a rule that is not text or not in the language. */
export async function readPolicyFile(text: string): Promise<Record<string, string>> {
  const rules = await readRules(text);
  compilePolicy(computePolicyRules, rules);
  return rules;
}
