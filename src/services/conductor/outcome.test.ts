import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import { faultOf } from './outcome.ts';

test("a fault's message names no folder of the host; its details do", () => {
  const why = "qemu-img: Could not open '/var/lib/kilonova/agent/images/a.qcow2': it is no image";
  const fault = faultOf(hypervisorFailed({ why }), 1);
  assert.equal(fault.message, "The hypervisor failed: qemu-img: Could not open 'a.qcow2': it is no image");
  assert.match(fault.details ?? '', /\/var\/lib\/kilonova/);
  const plain = faultOf(hypervisorFailed({ why: 'http://127.0.0.1/a/b and 172.24.0.0/16 and 1/2' }), 1);
  assert.match(plain.message, /http:\/\/127\.0\.0\.1\/a\/b and 172\.24\.0\.0\/16 and 1\/2/);
});
