// Machine code of kvm-probe.S, which says what it does. Rebuild, from this folder:
//   as --64 -o p.o kvm-probe.S && ld -m elf_x86_64 -Ttext=0 --oformat binary -o p.bin p.o && xxd -p -c 60 p.bin
const CODE = [
  'fab800f08ed8660f011680010f20c00c010f22c066ea1c000f00080066b810008ed88ec08ed0bc00700000fcbf00100000b9000c000031c0f3abc705',
  '0010000003200000c7050020000003300000c7050030000083000000b8001000000f22d80f20e00d200600000f22e0b9800000c00f320d010100000f',
  '300f20c083e0fb0d020000800f22c0ea8e000f00180048c7c40070000048c7c70080000031c031d248890748894708bbefbe0000b9feca0000f0480f',
  'c70f0f8593000000817f08feca00000f8586000000dbe3480fae8700010000480fae8f00010000bedc0500000f20d80f22d80f013fb9800000c00f32',
  'ffce75ecbf00900000488d05560000006689473066c74732180066c74734008e48c1e8106689473648c1e8104889473866c70425f08f0000ff0348c7',
  '0425f28f0000009000000f011c25f08f00004531ffcc4181ff341200007504b031eb02b021e6f4f4ebfd41bf3412000048cf66900000000000000000',
  'ffff0000009bcf00ffff00000093cf00ffff0000009baf001f0060010f00',
].join('');
/** far jump from the reset vector (0xFFFF0) to the start of the ROM (F000:0000) */
const RESET = 'ea000000f0';

/** The 64 KiB ROM for QEMU's -bios; what is not code is `hlt`. */
export function kvmProbeRom(): Buffer {
  const rom = Buffer.alloc(0x10000, 0xf4);
  Buffer.from(CODE, 'hex').copy(rom);
  Buffer.from(RESET, 'hex').copy(rom, 0xfff0);
  return rom;
}
