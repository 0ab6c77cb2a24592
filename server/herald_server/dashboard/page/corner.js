/** The corner that says on every screen whether it can be trusted right now. */

import { link } from "./address.js";
import { byId, everySecond, h, mark, say, shape } from "./dom.js";
import { clock, lagging, many } from "./format.js";
import { lately } from "./gaps.js";

const LOOKS = {
  connecting: ["Connecting", "half", "quiet"],
  live: ["Live", "dot", "good"],
  behind: ["Behind", "half", "warn"],
  silent: ["No word", "again", "warn"],
  reconnecting: ["Reconnecting", "again", "warn"],
  stale: ["Stale", "warn", "bad"],
  refused: ["Refused", "cross", "bad"],
  closed: ["Closed", "slash", "quiet"],
  resting: ["Resting", "half", "quiet"],
};

const pill = h("strong", { className: "pill", id: "connection" });
const lag = h("span", { className: "lag", id: "lag", title: "How old what is shown may be" });
const why = h("span", { className: "why" });
const gaps = h("a", { className: "pill thin", id: "gaps", hidden: true, href: link("overview"), title: "Stretches of the last hour in which events may be missing" });

const LATE_MS = 2_500; // Herald says something every two seconds

let client = null;
let state = null;
let told = "";

/** Fill the corner and keep it true. */
export function show(connected) {
  client = connected;
  byId("corner").append(why, gaps, lag, pill);
  client.observe((now) => {
    state = now;
    render();
  });
  everySecond(late);
}

/** What is wrong with the connection, in a word or two; empty if nothing is. */
export const trouble = () => (!state || ["live", "connecting"].includes(state.word) ? "" : state.word === "silent" ? LOOKS.silent[0] : pill.textContent);

/** Write it anew, as when times changed their zone. */
export function render() {
  if (!state) return;
  const [word, sign, tone] = LOOKS[state.word];
  const text = state.word === "stale" ? `Stale since ${clock(state.since)}` : word;
  mark(pill, "data-tone", tone);
  pill.replaceChildren(shape(sign), h("span", {}, text));
  mark(document.documentElement, "data-connection", state.word);
  say(why, state.word === "refused" ? "" : state.reason || (state.way === "streams" ? "over HTTP" : ""));
  mark(why, "title", state.reason || (state.way === "streams" ? "WebSockets are blocked here; the page listens to event streams" : null));
  announce(text);
  late();
}

/** How old what is shown may be, in ms; it grows while the server says nothing. Null if unknown. */
export function age({ word, lagMs }) {
  if (!["live", "behind", "silent"].includes(word) || lagMs === null) return null;
  const quiet = Date.now() - (client?.state.heardAt ?? Date.now());
  return quiet > LATE_MS ? lagMs + quiet : lagMs;
}

function late() {
  if (!state) return;
  const ms = age(state);
  say(lag, ms === null ? "" : lagging(ms));
  if (state.word === "silent") pill.lastChild.textContent = `No word for ${Math.floor((Date.now() - state.since) / 1_000)} s`;
  const found = lately(state?.gaps ?? []);
  gaps.hidden = !found.length;
  if (!found.length) return;
  mark(gaps, "data-tone", found.some((gap) => gap.state === "open") ? "bad" : "warn");
  const words = many(found.length, "gap").split(" ");
  gaps.replaceChildren(shape("warn"), words[0], h("span", { className: "noun" }, ` ${words[1]}`));
}

// Once a change of the word, not once a second: a screen reader reads it aloud.
function announce(text) {
  if (text === told) return;
  told = text;
  say(byId("said"), `Connection: ${text}`);
}
