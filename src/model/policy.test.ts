import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nobody } from './caller.ts';
import { compilePolicy } from './policy.ts';

test('brackets behind %(name)s and behind a literal belong to the rule, not to the word', () => {
  const policy = compilePolicy({
    own: 'role:admin or (role:member and project_id:%(project_id)s)',
    open: '(role:reader and (\'public\':%(visibility)s or "community":%(visibility)s))',
  });
  const caller = { ...nobody, projectId: 'p', roles: ['member', 'reader'] };
  assert.equal(policy.allows('own', caller, { project_id: 'p' }), true);
  assert.equal(policy.allows('own', caller, { project_id: 'q' }), false);
  assert.equal(policy.allows('open', caller, { visibility: 'community' }), true);
  assert.equal(policy.allows('open', caller, { visibility: 'private' }), false);
  assert.throws(() => compilePolicy({ broken: '(role:admin' }), /policy rule "broken" cannot be read: a \) is missing/);
});
