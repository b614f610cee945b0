const SHT_DYNAMIC = 6;
const DT_NEEDED = 1n;

/** The shared libraries an ELF file asks for by name; empty for what is not a 64-bit ELF, or asks for none. */
export function neededLibraries(file: Buffer): string[] {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2) return [];
  const table = Number(file.readBigUInt64LE(40));
  const [entry, count] = [file.readUInt16LE(58), file.readUInt16LE(60)];
  const section = (index: number) => {
    const at = table + index * entry;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      size: Number(file.readBigUInt64LE(at + 32)),
      link: file.readUInt32LE(at + 40),
    };
  };
  const found: string[] = [];
  for (let index = 0; index < count; index++) {
    const dynamic = section(index);
    if (dynamic.type !== SHT_DYNAMIC) continue;
    const names = section(dynamic.link).offset;
    for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
      if (file.readBigUInt64LE(at) !== DT_NEEDED) continue;
      const begin = names + Number(file.readBigUInt64LE(at + 8));
      found.push(file.toString('latin1', begin, file.indexOf(0, begin)));
    }
  }
  return found;
}
