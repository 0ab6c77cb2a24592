/** Herald's page, put together: one connection, three collections, five parts. */

import { connect } from "../herald/client.js";
import * as address from "./address.js";
import * as counts from "./counts.js";
import { byId, h, shape, soon } from "./dom.js";
import { toggled } from "./filter.js";
import * as keys from "./keys.js";
import * as list from "./list.js";
import * as panel from "./panel.js";
import * as preferences from "./preferences.js";
import { read } from "./rest.js";
import * as search from "./search.js";
import * as token from "./token.js";
import * as trust from "./trust.js";
import * as workers from "./workers.js";

/** @type {Record<string, import("../herald/collection.js").Collection>} */
const live = {};

token.fromAddress();
if (!token.held()) await token.ask("");
start();

function start() {
  const url = new URL("ws", token.base);
  url.protocol = url.protocol.replace("http", "ws");
  const client = connect({ url, token: token.held() });
  byId("page").hidden = false;
  trust.show(client);
  client.observe(refusal);
  parts(client);
  subscribe(client);
  addEventListener("hashchange", () => (token.fromAddress() ? location.reload() : arrive()));
  arrive();
  health();
}

function parts(client) {
  preferences.show(() => [trust.render, refresh].forEach(soon));
  counts.show((state) => search.set(state ? toggled(search.present(), "state", state) : { ...search.present(), state: [] }));
  workers.show((host) => search.set({ ...search.present(), worker: [host] }));
  list.show(openTask);
  panel.show(client, list.refocus);
  keys.show(openTask);
}

function subscribe(client) {
  const paint = { counts: () => counts.render(live.counts.items), workers: () => workers.render(live.workers.items) };
  for (const topic of ["counts", "workers"])
    live[topic] = client.subscribe({ id: topic, topic }, (_, change) => {
      if (!change.reset) trust.heard();
      if (live[topic].synced) soon(paint[topic]);
    });
  search.show((filter) => {
    counts.press(filter.state ?? []);
    if (live.tasks) live.tasks.update({ filter });
    else live.tasks = client.subscribe({ id: "tasks", filter, limit: list.LIMIT }, changed);
    list.follow(live.tasks);
  }, list.wait);
}

function changed(tasks, change) {
  if (!change.reset && change.put.length) trust.heard();
  if (tasks.error) search.complain(tasks.error.message);
  list.follow(tasks);
}

/** Show what the address asks for: at the start, and after Back or a link. */
function arrive() {
  search.fromAddress();
  const { task } = address.read();
  if (task) panel.open(task);
  else panel.close();
}

function openTask(id) {
  address.write({ task: id }, !panel.isOpen());
  panel.open(id);
}

function refresh() {
  workers.render(live.workers.items);
  panel.redraw();
}

// Before the first change arrives, the server knows when it heard its last event.
async function health() {
  const { last_event_at: at } = await read("api/v1/health").catch(() => ({}));
  if (at) trust.heard(Date.parse(at));
}

function refusal({ word, reason, code }) {
  if (word !== "refused") return;
  if (code === 4401) return askAgain(reason);
  const retry = h("button", { type: "button" }, "Try again");
  retry.addEventListener("click", () => location.reload());
  byId("banner").replaceChildren(shape("slash"), h("span", {}, `The server refused this page: ${reason}`), retry);
  byId("banner").hidden = false;
}

async function askAgain(reason) {
  token.forget();
  await token.ask(reason || "The token is not valid any more");
  location.reload();
}
