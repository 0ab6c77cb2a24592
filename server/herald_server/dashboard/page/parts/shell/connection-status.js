/** The state of the connection, its lag and recent gaps, shown on every screen. */

import { linkTo } from "../../base/address.js";
import { byId, h, icon, runEverySecond, setAttr, setText } from "../../base/dom.js";
import { formatLag, formatTime, pluralize } from "../../base/format.js";
import { describeListening, selectRecent } from "../../base/gaps.js";
import { getDataAge } from "../../base/metrics.js";
import { html, render as renderView, useEffect, useRef } from "../../base/view/preact.js";
import { Menu } from "../common/menu.js";
import { Freshness } from "./freshness.js";

const LOOKS = {
  connecting: ["Connecting", "half", "quiet"],
  live: ["Live", "dot", "good"],
  behind: ["Behind", "half", "warn"],
  silent: ["No response", "again", "warn"],
  reconnecting: ["Reconnecting", "again", "warn"],
  stale: ["Stale", "warn", "bad"],
  refused: ["Refused", "cross", "bad"],
  closed: ["Closed", "slash", "quiet"],
  resting: ["Paused", "half", "quiet"],
};

const pill = h("strong", { className: "pill", id: "connection" });
const lagLabel = h("span", { className: "lag", id: "lag", title: "Data age" });
const trustLabel = h("span", { className: "trust", id: "trust" });
const reasonLabel = h("span", { className: "reason" });
const gapsLink = h("a", { className: "pill thin", id: "gaps", hidden: true, href: linkTo("overview"), "data-home": "", title: "Periods of the last hour in which events may be missing" });

let client = null;
let state = null;
let health = null; // what the monitors told
let announced = "";

/** Show the state of the connection and keep it current; a click tells the health of Herald. */
export function mount(connected, attention) {
  client = connected;
  const details = h("span", { className: "view" });
  byId("connection-status").append(reasonLabel, gapsLink, details);
  const label = h("span", { className: "status-label" }, pill, lagLabel, trustLabel);
  renderView(html`<${Menu} label=${html`<${Held} node=${label} />`} title="Health of Herald" className="quiet status-button">${() => html`<${Details} attention=${attention} />`}</${Menu}>`, details);
  client.observe((present) => {
    state = present;
    render();
  });
  attention.observe(({ figures }) => {
    health = figures?.value?.health;
    renderLag();
  });
  runEverySecond(renderLag);
}

/** Return the problem of the connection in one or two words; empty if there is none. */
export const getProblem = () => (!state || ["live", "connecting"].includes(state.word) ? "" : state.word === "silent" ? LOOKS.silent[0] : pill.textContent);

/** Render it again, as after a change of the time zone. */
export function render() {
  if (!state) return;
  const [label, symbol, tone] = LOOKS[state.word];
  const text = state.word === "stale" ? `Stale since ${formatTime(state.since)}` : label;
  setAttr(pill, "data-tone", tone);
  pill.replaceChildren(icon(symbol), h("span", {}, text));
  setAttr(document.documentElement, "data-connection", state.word);
  setText(reasonLabel, state.word === "refused" ? "" : state.reason || (state.way === "streams" ? "over HTTP" : ""));
  setAttr(reasonLabel, "title", state.reason || (state.way === "streams" ? "WebSockets are blocked; the page uses event streams" : null));
  announce(text);
  renderLag();
}

function Held({ node }) {
  const ref = useRef(null);
  useEffect(() => void ref.current.append(node), []);
  return html`<span class="view" ref=${ref}></span>`;
}

function Details({ attention }) {
  const ref = useRef(null);
  useEffect(() => {
    const freshness = new Freshness("status-");
    const draw = () => freshness.draw({ connection: client.state, figures: attention.figures, live: attention.live });
    ref.current.append(freshness.el, h("p", { className: "fine" }, h("a", { href: linkTo("health") }, "More about the health of Herald")));
    draw();
    return runEverySecond(draw);
  }, []);
  return html`<div class="status-details" ref=${ref}></div>`;
}

function renderLag() {
  if (!state) return;
  const ms = getDataAge(client.state);
  setText(lagLabel, ms === null ? "" : formatLag(ms));
  if (state.word === "silent") pill.lastChild.textContent = `No response for ${Math.floor((Date.now() - state.since) / 1_000)} s`;
  const found = selectRecent(state.gaps ?? []);
  gapsLink.hidden = !found.length;
  const listening = describeListening(health?.monitors);
  setText(trustLabel, state.gaps && !found.length && state.word === "live" && listening ? `nothing lost ${listening}` : "");
  if (!found.length) return;
  setAttr(gapsLink, "data-tone", found.some((gap) => gap.state === "open") ? "bad" : "warn");
  const [n, noun] = pluralize(found.length, "gap").split(" ");
  gapsLink.replaceChildren(icon("warn"), n, h("span", { className: "noun" }, ` ${noun}`));
}

// Once a change, not once a second: a screen reader reads it aloud.
function announce(text) {
  if (text === announced) return;
  announced = text;
  setText(byId("announcer"), `Connection: ${text}`);
}
