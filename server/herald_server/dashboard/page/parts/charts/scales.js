/** Map values to positions, and choose the ticks of an axis. Pure. */

const MINUTE_MS = 60_000;
const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880];

/** Map 0 to `max` onto 0 to `height`. */
export const createScale = (max, height) => (value) => (max > 0 ? (value / max) * height : 0);

/** Map positive values onto a logarithmic axis; also return its limits. */
export function createLogScale(values, top, height) {
  const low = 10 ** Math.floor(Math.log10(Math.max(1e-3, Math.min(...values))));
  const high = Math.max(10 * low, 10 ** Math.ceil(Math.log10(Math.max(1e-3, ...values))));
  const range = Math.log10(high / low);
  const y = (value) => top + height - (Math.log10(Math.max(low, value) / low) / range) * height;
  return { y, low, high };
}

/** Return the next number of the form 1, 2 or 5 times a power of ten. */
export function roundUp(max) {
  if (!(max > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].find((step) => step * power >= max - 1e-9) * power;
}

/** Return the times (ms) of round minutes or hours, at most `most` of them. */
export function getTicks(since, until, most) {
  const minutes = STEPS_MIN.find((step) => (until - since) / (step * MINUTE_MS) <= most) ?? STEPS_MIN.at(-1);
  const every = minutes * MINUTE_MS;
  const ticks = [];
  for (let at = Math.ceil(since / every) * every; at <= until; at += every) ticks.push(at);
  return ticks;
}
