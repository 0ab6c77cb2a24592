/** The outcomes of a schedule in the last 24 h, in half hours. */

import { now } from "../../base/clock.js";
import { formatHourMinute, pluralize } from "../../base/format.js";
import { OUTCOMES, worstOutcome } from "../../base/context/schedules.js";
import { html } from "../../base/view/preact.js";

const BIN_MS = 1_800_000;
const BINS = 48;

/** Cells of a day; the kind of an outcome is its height and colour, and a text. */
export function Strip({ one }) {
  const last = Math.floor(now() / BIN_MS) * BIN_MS;
  const counts = new Map((one.strip ?? []).map((bin) => [Date.parse(bin.at), bin]));
  const cells = Array.from({ length: BINS }, (_, n) => last - (BINS - 1 - n) * BIN_MS);
  return html`<span class="strip" role="img" aria-label=${describeAll(one.strip ?? [])}>
    ${cells.map((at) => html`<${Cell} key=${at} at=${at} bin=${counts.get(at)} />`)}
  </span>`;
}

function Cell({ at, bin }) {
  const kind = bin && worstOutcome(bin);
  const title = `${formatHourMinute(at)}: ${kind ? describeCounts(bin) : "nothing was due"}`;
  return html`<i data-outcome=${kind ?? "none"} data-tone=${kind ? OUTCOMES[kind].tone : "quiet"} title=${title}></i>`;
}

const describeCounts = (bin) =>
  Object.keys(OUTCOMES).filter((kind) => bin[kind]).map((kind) => `${bin[kind]} ${OUTCOMES[kind].label}`).join(", ");

function describeAll(strip) {
  const sums = {};
  for (const bin of strip) for (const kind of Object.keys(OUTCOMES)) if (bin[kind]) sums[kind] = (sums[kind] ?? 0) + bin[kind];
  const total = Object.values(sums).reduce((a, b) => a + b, 0);
  return total ? `Last 24 hours: ${pluralize(total, "due time")}, ${describeCounts(sums)}` : "Nothing was due in the last 24 hours";
}
