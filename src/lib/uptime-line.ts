/** A line as `uptime` prints it: the hypervisor view shows it, and clients cut it into pieces. */
export function uptimeLine(now: Date, upSeconds: number, load: readonly number[]): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(upSeconds / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  const clock = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':');
  const day = days > 0 ? `${days} day${days > 1 ? 's' : ''}, ` : '';
  return ` ${clock} up ${day}${hours}:${two(minutes % 60)},  0 users,  load average: ${load.map((value) => value.toFixed(2)).join(', ')}`;
}
