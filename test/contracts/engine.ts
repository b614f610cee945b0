import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { describeSchema } from '../../src/db/describe-schema.ts';
import type { Database, EngineOptions, Query } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import type { Migration } from '../../src/db/migrations/migration.ts';
import { openDatabase } from '../../src/db/open.ts';
import { insertRows, met, prepared } from '../../src/db/prepared.ts';
import { forUpdate, insertIgnore, insertReturningId } from '../../src/db/statements.ts';
import { isUniqueViolation } from '../../src/db/unique.ts';
import { CloudError } from '../../src/model/errors.ts';

/** One engine under test. */
export interface EngineBench {
  /** Its URL, of an empty database. */
  readonly url: string;
  /** A second empty database of the same engine. */
  readonly freshUrl: () => Promise<string>;
  /** The server, where there is one. */
  readonly server?: { kill(): Promise<void>; restart(): Promise<void>; pause(): void; resume(): void };
  readonly stop: () => Promise<void>;
}

/** What every engine must do alike; see `Database`. `skip` is a reason, or false. */
export function engineContract(name: string, skip: string | false, start: () => Promise<EngineBench>): void {
  let bench: EngineBench;
  let db: Database;
  const opened: Database[] = [];
  const open = async (more: Partial<EngineOptions> = {}) => {
    const made = await openDatabase({ url: bench.url, ...more });
    opened.push(made);
    return made;
  };
  const check = (what: string, run: () => Promise<void>) => test(`${name}: ${what}`, { skip }, run);
  before(async () => {
    if (skip) return;
    bench = await start();
    db = await open();
  });
  after(async () => {
    for (const each of opened) await each.close().catch(() => {});
    await bench?.stop();
  });

  check('several processes that migrate at once run each step exactly once', async () => {
    const others = await Promise.all([open(), open(), open()]);
    const ran = (await Promise.all([db, ...others].map((each) => migrate(each)))).flat();
    assert.ok(ran.includes('0001-compute') && ran.includes('0002-placement'));
    assert.equal(new Set(ran).size, ran.length);
    assert.deepEqual(await migrate(db), []);
  });

  check('the schema is the one SQLite has', async () => {
    const reference = await openDatabase({ url: ':memory:' });
    await migrate(reference);
    assert.deepEqual(await describeSchema(db), await describeSchema(reference));
    await reference.close();
    assert.deepEqual((await describeSchema(db)).allocations?.primaryKey, ['consumer_uuid', 'provider_uuid', 'resource_class']);
  });

  check('a statement compiled once binds each run its own values, in a transaction and outside', async () => {
    const raise = prepared((q, p: { name: string; by: number; owner: string }) =>
      q
        .updateTable('leases')
        .set((eb) => ({ value: eb('value', '+', p.by), until: 7 }))
        .where('name', '=', p.name)
        .where((eb) => eb.or([eb('owner', '=', p.owner), eb('owner', '=', 'b')])),
    );
    const named = prepared((q, p: { name: string }) => q.selectFrom('leases').select('value').where('name', '=', p.name));
    const lease = (name: string, owner: string) => ({ name, owner, until: 0, value: 1 });
    await db.transaction(async (tx) => {
      assert.equal(await insertRows(tx, 'leases', [lease('bound-1', 'a'), lease('bound-2', 'b')]), 2);
      assert.equal(await insertRows(tx, 'leases', [lease('bound-3', 'b'), lease('bound-4', 'a')]), 2);
      assert.equal(await insertIgnore(tx, db.kind, 'leases', lease('bound-4', 'c')), false);
      assert.equal(await insertIgnore(tx, db.kind, 'leases', lease('bound-5', 'c')), true);
      assert.equal(await insertRows(tx, 'leases', []), 0);
      const many = Array.from({ length: 20 }, (_, at) => lease(`bound-many-${at}`, ''));
      assert.equal(await insertRows(tx, 'leases', many), 20);
      assert.ok(met(await raise(tx, { name: 'bound-1', by: 5, owner: 'a' })));
      assert.ok(!met(await raise(tx, { name: 'bound-1', by: 9, owner: 'x' })));
      assert.ok(met(await raise(tx, { name: 'bound-2', by: 6, owner: 'x' })));
      assert.equal((await named(tx, { name: 'bound-2' })).rows[0]?.value, 7);
    });
    assert.equal((await named(db.read, { name: 'bound-1' })).rows[0]?.value, 6);
    await db.transaction((tx) => tx.deleteFrom('leases').where('name', 'like', 'bound-%').execute());
  });

  check('of transactions that come together each stands or falls alone', async () => {
    const works = Array.from({ length: 40 }, (_, at) =>
      db.transaction(async (tx) => {
        await tx
          .insertInto('leases')
          .values({ name: `together-${at}`, owner: '', until: 0, value: at })
          .execute();
        if (at % 2 === 1) throw new Error(`not ${at}`);
        return at;
      }),
    );
    const answers = (await Promise.allSettled(works)).map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)));
    assert.deepEqual(
      answers,
      works.map((_work, at) => (at % 2 === 1 ? `Error: not ${at}` : at)),
    );
    const kept = await db.read.selectFrom('leases').select('value').where('name', 'like', 'together-%').orderBy('value').execute();
    assert.deepEqual(
      kept.map(({ value }) => value),
      works.flatMap((_work, at) => (at % 2 === 1 ? [] : at)),
    );
    await db.transaction((tx) => tx.deleteFrom('leases').where('name', 'like', 'together-%').execute());
  });

  check('a migration cut short is run again and ends whole', async () => {
    const fresh = await openDatabase({ url: await bench.freshUrl() });
    opened.push(fresh);
    let cut = true;
    const step: Migration = {
      async up(tx, t) {
        await tx.schema
          .createTable('half_a')
          .addColumn('id', t.key, (c) => c.primaryKey())
          .addColumn('name', t.string(255), (c) => c.notNull())
          .execute();
        await tx.schema.createIndex('half_a_by_name').on('half_a').column('name').execute();
        if (cut) throw new Error('cut short');
        await tx.schema
          .createTable('half_b')
          .addColumn('id', t.key, (c) => c.primaryKey())
          .execute();
      },
    };
    await assert.rejects(migrate(fresh, { '0001-half': step }), /cut short/);
    cut = false;
    assert.deepEqual(await migrate(fresh, { '0001-half': step }), ['0001-half']);
    assert.deepEqual(Object.keys(await describeSchema(fresh)), ['half_a', 'half_b', 'schema_migrations']);
  });

  check('commits, rolls back, and reads see what was committed', async () => {
    await db.transaction((tx) => lease(tx, 'rolled', 1));
    assert.equal(await leaseValue(db.read, 'rolled'), 1);
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.updateTable('leases').set({ value: 2 }).where('name', '=', 'rolled').execute();
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    assert.equal(await leaseValue(db.read, 'rolled'), 1);
    const other = await open();
    assert.equal(await leaseValue(other.read, 'rolled'), 1);
  });

  check('a transaction inside a transaction is refused, and db.read does not write', async () => {
    await assert.rejects(
      db.transaction(() => db.transaction(async () => 1)),
      /inside a transaction/,
    );
    await assert.rejects(db.read.insertInto('leases').values({ name: 'x', owner: '', until: 0, value: 0 }).execute());
    assert.equal(await leaseValue(db.read, 'x'), undefined);
  });

  check('rows matched are counted, not rows changed', async () => {
    await db.transaction((tx) => lease(tx, 'matched', 5));
    const same = await db.transaction((tx) =>
      tx.updateTable('leases').set({ value: 5 }).where('name', '=', 'matched').where('value', '=', 5).executeTakeFirst(),
    );
    assert.equal(same.numUpdatedRows, 1n);
    const none = await db.transaction((tx) => tx.updateTable('leases').set({ value: 6 }).where('value', '=', -1).executeTakeFirst());
    assert.equal(none.numUpdatedRows, 0n);
    const gone = await db.transaction((tx) => tx.deleteFrom('leases').where('name', '=', 'matched').executeTakeFirst());
    assert.equal(gone.numDeletedRows, 1n);
  });

  check('fifty transactions at once never take more than there is, and end exact', async () => {
    const other = await open();
    await db.transaction(async (tx) => {
      for (const resource of ['VCPU', 'MEMORY_MB']) await tx.insertInto('inventories').values(inventory(resource, 20)).execute();
    });
    const take = (through: Database, n: number) =>
      through.transaction(async (tx) => {
        for (const resource of ['MEMORY_MB', 'VCPU']) {
          const took = await tx
            .updateTable('inventories')
            .set({ used: sql`used + 1` })
            .where('provider_uuid', '=', 'p')
            .where('resource_class', '=', resource)
            .where(sql<boolean>`used + 1 <= capacity`)
            .executeTakeFirst();
          if (took.numUpdatedRows !== 1n) throw new Error('full');
        }
        await tx
          .insertInto('allocations')
          .values({ consumer_uuid: `c${n}`, provider_uuid: 'p', resource_class: 'VCPU', used: 1 })
          .execute();
      });
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => take(n % 3 ? db : other, n)));
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled').length;
    const wrong = outcomes.filter((outcome) => outcome.status === 'rejected' && String(outcome.reason) !== 'Error: full');
    assert.deepEqual(wrong, []);
    assert.equal(won, 20);
    const rows = await db.read.selectFrom('inventories').select(['used', 'capacity']).execute();
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        { used: 20, capacity: 20 },
        { used: 20, capacity: 20 },
      ],
    );
    const { n, total } = await db.read
      .selectFrom('allocations')
      .select((e) => [e.fn.countAll<number>().as('n'), e.fn.sum<number>('used').as('total')])
      .executeTakeFirstOrThrow();
    assert.deepEqual([n, total], [20, 20]); // count and sum are numbers on every engine
  });

  check('a unique violation is told by one function', async () => {
    await db.transaction((tx) => lease(tx, 'once', 1));
    const double = await db.transaction((tx) => lease(tx, 'once', 2)).catch((cause: unknown) => cause);
    assert.equal(isUniqueViolation(double), true);
    assert.equal(isUniqueViolation(new Error('other', { cause: double })), true);
    assert.equal(isUniqueViolation(new Error('other')), false);
  });

  check('insertIgnore says whether it inserted, and the transaction goes on', async () => {
    const answers = await db.transaction(async (tx) => {
      const row = { name: 'ignored', owner: '', until: 0, value: 1 };
      const first = await insertIgnore(tx, db.kind, 'leases', row);
      const second = await insertIgnore(tx, db.kind, 'leases', { ...row, value: 2 });
      await lease(tx, 'after-ignored', 3);
      return [first, second];
    });
    assert.deepEqual(answers, [true, false]);
    assert.equal(await leaseValue(db.read, 'ignored'), 1);
    assert.equal(await leaseValue(db.read, 'after-ignored'), 3);
  });

  check('numbered keys come back from the insert', async () => {
    const [a, b] = await db.transaction(async (tx) => [
      await insertReturningId(tx, 'changes', change('x')),
      (await tx.insertInto('changes').values(change('y')).returning(['id', 'body']).executeTakeFirstOrThrow()).id,
    ]);
    assert.equal(typeof a, 'number');
    assert.ok(b! > a!);
    const found = await db.read.selectFrom('changes').select('body').where('id', '=', b!).executeTakeFirstOrThrow();
    assert.equal(found.body, 'y');
  });

  check('numbers come back as they were', async () => {
    for (const value of [0, -1, 1_700_000_000_000_001, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER]) {
      await db.transaction(async (tx) => {
        await tx.deleteFrom('leases').where('name', '=', 'number').execute();
        await lease(tx, 'number', value);
      });
      assert.equal(await leaseValue(db.read, 'number'), value);
    }
    await db.transaction((tx) => tx.updateTable('inventories').set({ allocation_ratio: 0.1 }).execute());
    assert.equal((await db.read.selectFrom('inventories').select('allocation_ratio').executeTakeFirstOrThrow()).allocation_ratio, 0.1);
  });

  check('text comes back as it was: every plane, quotes, backslashes, 1 MiB', async () => {
    const texts = [
      '',
      ' ',
      'a ',
      "it's",
      '\\',
      '\\n',
      '"`;--',
      '%_',
      '\u0001\u001f\u007f',
      'é',
      'e\u0301',
      'ß',
      '漢字',
      '\u2028\ufeff\ufffd\uffff',
      '😀𝄞\u{10ffff}',
      '0',
      'null',
    ];
    for (let at = 0x20; at < 0x11_0000; at += 0x3fff) if (at < 0xd800 || at > 0xdfff) texts.push(String.fromCodePoint(at));
    texts.push('😀"\\\n'.repeat(150_000).slice(0, 1024 * 1024));
    for (const text of texts) {
      const id = await db.transaction((tx) => insertReturningId(tx, 'changes', change(text)));
      const found = await db.read.selectFrom('changes').select('body').where('id', '=', id).executeTakeFirstOrThrow();
      assert.ok(
        found.body === text,
        `differs: ${JSON.stringify(text.slice(0, 20))} came back as ${JSON.stringify(found.body.slice(0, 20))}`,
      );
    }
  });

  check('texts compare and sort by code point, with case, accents and trailing spaces', async () => {
    const names = ['b', 'B', 'a', 'a ', 'A', 'é', 'e', 'Z', '漢', '😀', '\uffee'];
    await db.transaction(async (tx) => {
      await tx.deleteFrom('leases').execute();
      for (const name of names) await lease(tx, name, 0);
    });
    const found = await db.read.selectFrom('leases').select('name').orderBy('name').execute();
    const byCodePoint = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(
      found.map((row) => row.name),
      byCodePoint,
    );
    const one = await db.read.selectFrom('leases').select('name').where('name', '=', 'a').execute();
    assert.deepEqual(
      one.map((row) => row.name),
      ['a'],
    );
    const like = await db.read.selectFrom('leases').select('name').where('name', 'like', 'A%').execute();
    assert.deepEqual(
      like.map((row) => row.name),
      ['A'],
    );
  });

  check('a lock is waited for, and too long a wait is databaseUnavailable', async () => {
    const hasty = await open({ patienceMs: 200 });
    await db.transaction((tx) => lease(tx, 'locked', 1));
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let holding = () => {};
    const begun = new Promise<void>((resolve) => {
      holding = resolve;
    });
    const holder = db.transaction(async (tx) => {
      await forUpdate(db.kind, tx.selectFrom('leases').selectAll().where('name', '=', 'locked')).execute();
      await tx.updateTable('leases').set({ value: 2 }).where('name', '=', 'locked').execute();
      holding();
      await held;
    });
    await begun;
    const add = (through: Database) =>
      through.transaction((tx) => tx.updateTable('leases').set({ value: sql`value + 10` }).where('name', '=', 'locked').execute());
    const other = await open();
    const waiting = add(other);
    await assert.rejects(add(hasty), isCode('database.unavailable'));
    assert.equal(await leaseValue(db.read, 'locked'), 1); // readers do not wait for it
    release();
    await Promise.all([holder, waiting]);
    assert.equal(await leaseValue(db.read, 'locked'), 12);
  });

  check('a deadlock is repeated as a whole', async () => {
    await db.transaction(async (tx) => {
      await lease(tx, 'left', 0);
      await lease(tx, 'right', 0);
    });
    let attempts = 0;
    let met = 0;
    let bothAreIn = () => {};
    const both = new Promise<void>((resolve) => {
      bothAreIn = resolve;
    });
    const cross = (first: string, second: string) =>
      db.transaction(async (tx) => {
        attempts++;
        await tx.updateTable('leases').set({ value: sql`value + 1` }).where('name', '=', first).execute();
        if (db.kind !== 'sqlite') {
          if (++met === 2) bothAreIn();
          await both;
        }
        await tx.updateTable('leases').set({ value: sql`value + 1` }).where('name', '=', second).execute();
      });
    await Promise.all([cross('left', 'right'), cross('right', 'left')]);
    assert.deepEqual([await leaseValue(db.read, 'left'), await leaseValue(db.read, 'right')], [2, 2]);
    if (db.kind !== 'sqlite') assert.ok(attempts > 2, 'no deadlock happened');
  });

  check("a value no column takes is the caller's fault, and a broken query is ours", async () => {
    const long = db.transaction((tx) => lease(tx, 'x'.repeat(100_000), 0));
    if (db.kind === 'sqlite')
      await long; // takes a text of any length in any column
    else await assert.rejects(long, isCode('input.invalid'));
    await assert.rejects(sql`select nothing from nowhere`.execute(db.read), (cause: unknown) => !(cause instanceof CloudError));
  });

  const served = (what: string, run: (server: NonNullable<EngineBench['server']>) => Promise<void>) =>
    check(what, async () => {
      if (bench.server) await run(bench.server);
    });

  served('a server killed in the middle is waited for, and all work ends exact', async (server) => {
    const patient = await open({ patienceMs: 30_000 });
    await patient.transaction((tx) => lease(tx, 'survivor', 0));
    let unknown = 0;
    let done = 0;
    let killed: Promise<void> | undefined;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let turn = 0; turn < 25; turn++) {
          try {
            await patient.transaction((tx) =>
              tx.updateTable('leases').set({ value: sql`value + 1` }).where('name', '=', 'survivor').execute(),
            );
            done++;
          } catch (cause) {
            assert.ok(isCode('database.unavailable')(cause) && (cause as CloudError).params.why === 'commit', String(cause));
            unknown++;
          }
          if (done === 60) killed ??= server.kill().then(() => server.restart());
        }
      }),
    );
    await killed;
    assert.ok(killed);
    const value = (await leaseValue(patient.read, 'survivor')) ?? -1;
    assert.ok(value >= done && value <= done + unknown, `${value} is not between ${done} and ${done + unknown}`);
    assert.equal(done + unknown, 200);
    assert.ok(unknown <= 8); // at most one for each that was under way
  });

  served('away is databaseUnavailable, for reads and transactions; and it recovers by itself', async (server) => {
    const hasty = await open({ patienceMs: 300 });
    assert.equal(typeof (await leaseValue(hasty.read, 'survivor')), 'number');
    await server.kill();
    await assert.rejects(leaseValue(hasty.read, 'survivor'), isCode('database.unavailable'));
    await assert.rejects(
      hasty.transaction((tx) => lease(tx, 'never', 0)),
      isCode('database.unavailable'),
    );
    await server.restart();
    assert.equal(typeof (await leaseValue(db.read, 'survivor')), 'number');
    assert.equal(await leaseValue(hasty.read, 'never'), undefined);
  });

  served('a server that hangs with open sockets is databaseUnavailable too', async (server) => {
    const hasty = await open({ patienceMs: 200, queryTimeoutMs: 300 });
    await leaseValue(hasty.read, 'survivor');
    server.pause();
    try {
      await assert.rejects(leaseValue(hasty.read, 'survivor'), isCode('database.unavailable'));
      await assert.rejects(
        hasty.transaction((tx) => lease(tx, 'never', 0)),
        isCode('database.unavailable'),
      );
    } finally {
      server.resume();
    }
    assert.equal(typeof (await leaseValue(db.read, 'survivor')), 'number');
  });

  served('a wrong password and a missing database say so at once', async () => {
    const url = bench.url.replace(/\/kilonova(\?|$)/, '/nowhere$1');
    const lost = await open({ url, patienceMs: 60_000 });
    const cause = await leaseValue(lost.read, 'x').catch((reason: unknown) => reason);
    assert.ok(isCode('database.unavailable')(cause));
    assert.match((cause as CloudError).detail ?? '', /nowhere|denied/);
  });
}

const isCode = (code: string) => (cause: unknown) => cause instanceof CloudError && cause.code === code;
const lease = async (tx: Query, name: string, value: number) => {
  await tx.insertInto('leases').values({ name, owner: '', until: 0, value }).execute();
};
const leaseValue = async (query: Query, name: string) =>
  (await query.selectFrom('leases').select('value').where('name', '=', name).executeTakeFirst())?.value;
const change = (body: string) => ({ seq: null, noun: 'n', key: 'k', what: 'w', project_id: null, body, at: 1 });
const inventory = (resource_class: string, capacity: number) => ({
  provider_uuid: 'p',
  resource_class,
  total: capacity,
  reserved: 0,
  min_unit: 1,
  max_unit: capacity,
  step_size: 1,
  allocation_ratio: 1,
  capacity,
  used: 0,
});
