import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallCloud } from './small-cloud.ts';

const FILTERS = '[filter_scheduler]\nenabled_filters = ComputeFilter, JsonFilter, ComputeCapabilitiesFilter, DifferentHostFilter\n';

test('over HTTP: a request that a filter cannot read fails with its name and cause, the next one is built', async () => {
  const cloud = await smallCloud({ config: FILTERS });
  try {
    const hints = (query: unknown) => ({ 'OS-SCH-HNT:scheduler_hints': { query } });
    for (const [query, sentence] of [
      ['[">=", "$free_ram_mb"', /JsonFilter failed/],
      ['["moon", "$free_ram_mb", 1]', /JsonFilter failed: there is no operator "moon"/],
      ['[">", "$hypervisor_type", 1]', /JsonFilter failed: things of different kinds have no order/],
    ] as const) {
      const [server] = await cloud.createWith({}, hints(query));
      assert.equal(server.status, 'ERROR');
      assert.equal(server.fault.code, 500);
      assert.match(server.fault.message, sentence);
    }
    const [small] = await cloud.createWith({}, hints('["<", "$free_ram_mb", 1]'));
    assert.match(small.fault.message, /No valid host was found.*JsonFilter left 0 of 1 \(the query does not hold\)/);
    const [good] = await cloud.createWith({}, hints('["and", [">=", "$free_ram_mb", 1024], ["=", "$hypervisor_type", "fake"]]'));
    assert.equal(good.status, 'ACTIVE');
  } finally {
    await cloud.close();
  }
});

test('a filter that nobody has keeps the cloud from starting, with a sentence', async () => {
  await assert.rejects(
    smallCloud({ config: '[filter_scheduler]\nenabled_filters = MoonFilter\n' }),
    /enabled_filters names MoonFilter, which is not there; there are ComputeFilter/,
  );
});
