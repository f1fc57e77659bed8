// Wall-clock time in a camera's zone. Instants are UTC milliseconds throughout.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [
  1000, 2000, 5000, 10_000, 15_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY,
];
const MONTH_STEPS = [1, 3, 6, 12, 24, 60, 120];

export class Clock {
  constructor(zone) {
    const parts = { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    this.format = new Intl.DateTimeFormat("en-GB", parts);
    this.offsets = new Map();
  }

  // How far the zone's clock is ahead of UTC at an instant. Zones change on quarter hours at the earliest.
  offset(ms) {
    const quarter = Math.floor(ms / (15 * MINUTE));
    if (!this.offsets.has(quarter)) {
      const at = quarter * 15 * MINUTE;
      const p = Object.fromEntries(this.format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
      this.offsets.set(quarter, Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - at);
    }
    return this.offsets.get(quarter);
  }

  // A Date whose UTC fields read as the zone's clock.
  local(ms) {
    return new Date(ms + this.offset(ms));
  }

  // Ticks at round times of the zone's clock, at most `room` of them: [{ms, text, major}].
  ticks(from, to, room) {
    const step = STEPS.find((size) => (to - from) / size <= room);
    if (!step) return this.months(from, to, room);
    const ticks = [];
    let local = Math.floor((from + this.offset(from)) / step) * step;
    for (let n = 0; n < 400; n += 1, local += step) {
      // The clock's offset there is found by looking at the instant it would be with the offset before.
      let ms = local - this.offset(local - this.offset(from));
      ms = local - this.offset(ms);
      if (ms > to) break;
      if (ms >= from && (!ticks.length || ms > ticks.at(-1).ms)) ticks.push({ ms, ...label(new Date(local), step) });
    }
    return ticks;
  }

  // Ticks at the first of months, or of years.
  months(from, to, room) {
    const step = MONTH_STEPS.find((size) => (to - from) / (size * 30 * DAY) <= room) ?? MONTH_STEPS.at(-1);
    const first = this.local(from), ticks = [];
    let month = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / step) * step;
    for (let n = 0; n < 400; n += 1, month += step) {
      const local = Date.UTC(Math.floor(month / 12), month % 12, 1);
      const ms = local - this.offset(local - this.offset(from));
      if (ms > to) break;
      const name = month % 12 || step < 12 ? `${MONTHS[month % 12]} ${Math.floor(month / 12)}` : `${month / 12}`;
      if (ms >= from) ticks.push({ ms, text: name, major: true });
    }
    return ticks;
  }

  day(ms, year = false) {
    const local = this.local(ms);
    return year ? `${date(local)} ${local.getUTCFullYear()}` : date(local);
  }

  time(ms) {
    return this.local(ms).toISOString().slice(11, 19);
  }

  // "2 Nov, 18:00 to 23:30" of a period, without what both ends share.
  period(from, to) {
    const years = this.local(from).getUTCFullYear() !== this.local(to).getUTCFullYear();
    const [a, b] = [this.day(from, years), this.day(to, years)];
    const cut = to - from < 10 * MINUTE ? 8 : 5;
    const [s, e] = [this.time(from).slice(0, cut), this.time(to).slice(0, cut)];
    return a === b ? [a, `${s} to ${e}`] : [`${a} ${to - from < 3 * DAY ? s : ""}`.trim(), `to ${b} ${to - from < 3 * DAY ? e : ""}`.trim()];
  }
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function date(local) {
  return `${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]}`;
}

function label(local, step) {
  const midnight = local.getUTCHours() === 0 && local.getUTCMinutes() === 0 && local.getUTCSeconds() === 0;
  if (step >= DAY || midnight) return { text: date(local), major: true };
  return { text: local.toISOString().slice(11, step < MINUTE ? 19 : 16), major: false };
}
