import { type TestImage, testImage } from '../../../test/contracts/driver.ts';

/** A boot sector of 54 bytes, for tests that need a guest and no operating system. It says a line on the serial port, lets only the
 *  timer interrupt through, enables the ACPI power button (port 0x602), and then sleeps; once the button was pressed (0x600) it asks
 *  the machine to power off (0x604). */
const BUTTON_GUEST =
  'fa31c08ed8be367cac84c07406baf803eeebf5' + // cli; the text at 0x7c36 goes byte by byte to 0x3f8
  'b0fee621b0ffe6a1' + // interrupt masks: the timer alone
  'ba0206b80001ef' + // power button enabled
  'fbf4ba0006edf6c401'; // sti; hlt; look at the button
const BACK_TO_SLEEP = '74f6';
const GO_ON = '9090';
const POWER_OFF = 'ba0406b80020efebed';
export const GUEST_SAYS = 'kilonova test guest is up';

function bootSector(jump: string): Buffer {
  const disk = Buffer.alloc(64 * 1024);
  Buffer.concat([Buffer.from(BUTTON_GUEST + jump + POWER_OFF, 'hex'), Buffer.from(`${GUEST_SAYS}\r\n\0`)]).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
/** Stays up until its power button is pressed. */
export const buttonGuest = (): TestImage => testImage(bootSector(BACK_TO_SLEEP));
/** Powers itself off as soon as it is up. */
export const shortGuest = (): TestImage => testImage(bootSector(GO_ON));
