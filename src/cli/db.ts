import { migrateFrom } from '../cloud/one-service.ts';

export async function migrateCommand(flags: { config: string; dataDir?: string }): Promise<number> {
  const ran = await migrateFrom(flags.config, flags.dataDir);
  process.stdout.write(ran.length ? `kilonova: ran ${ran.join(', ')}\n` : 'kilonova: the tables are up to date\n');
  return 0;
}
