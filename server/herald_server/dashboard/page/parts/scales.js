/** From values to places. Pure. */

/** From 0 to `most`, onto 0 to `height`. */
export const scale = (most, height) => (value) => (most > 0 ? (value / most) * height : 0);

/** Positive values onto a stretch from the top, in powers of ten; with its limits. */
export function logScale(values, top, height) {
  const low = 10 ** Math.floor(Math.log10(Math.max(1e-3, Math.min(...values))));
  const high = Math.max(10 * low, 10 ** Math.ceil(Math.log10(Math.max(1e-3, ...values))));
  const range = Math.log10(high / low);
  const y = (value) => top + height - (Math.log10(Math.max(low, value) / low) / range) * height;
  return { y, low, high };
}
