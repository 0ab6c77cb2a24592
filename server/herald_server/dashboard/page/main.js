/** Herald's page, put together: one connection, the frame, and the screens in it. */

import { connect } from "../herald/client.js";
import * as address from "./address.js";
import * as corner from "./corner.js";
import { byId, h, say, shape, soon } from "./dom.js";
import { doubtful, stranded } from "./figures.js";
import { many } from "./format.js";
import * as frame from "./frame.js";
import * as keys from "./keys.js";
import { Live } from "./live.js";
import * as peek from "./peek.js";
import * as preferences from "./preferences.js";
import * as token from "./token.js";

const REST_MS = 60_000; // how long a hidden tab is kept up to date

let told = ""; // the trouble that was said aloud

token.fromAddress();
if (!token.held()) await token.obtain();
token.share();
start();

function start() {
  const url = new URL("ws", token.base);
  url.protocol = url.protocol.replace("http", "ws");
  const client = connect({ url, token: token.held() });
  const live = new Live(client);
  byId("main").hidden = false;
  corner.show(client);
  client.observe(refusal);
  client.observe(() => frame.warn(corner.trouble()));
  rest(client);
  preferences.show(again);
  peek.show(client, closed);
  keys.show();
  frame.show(client, live);
  live.observe(flags);
  addEventListener("hashchange", () => (token.fromAddress() ? location.reload() : arrive()));
  arrive();
}

// Nobody reads a hidden tab. It hears nothing until it is seen again, and resumes then.
function rest(client) {
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => client.rest(), REST_MS);
    else client.open();
  });
}

/** Show what the address asks for: at the start, and after Back or a link. */
function arrive() {
  frame.arrive();
  const { task } = address.read().words;
  if (task) peek.open(task);
  else peek.close();
}

function closed() {
  address.write({ task: null });
  keys.back();
}

// Times are in all parts of a screen: it is drawn anew.
function again() {
  soon(corner.render);
  peek.redraw();
  frame.redraw();
}

// What needs eyes shows beside the screen's name, wherever one is.
function flags(live) {
  const silent = [...live.workers.items.values()].filter((worker) => worker.state === "silent").length;
  const alone = [...live.queues.items.values()].filter((queue) => stranded(queue) || doubtful(queue)).length;
  frame.flag("workers", silent, "silent");
  frame.flag("queues", alone, "without a consumer");
  aloud([silent ? `${many(silent, "worker")} silent` : "", alone ? `${many(alone, "queue")} without a consumer` : ""].filter(Boolean).join(", "));
}

// Once a change, for those who hear the page.
function aloud(trouble) {
  if (trouble === told) return;
  say(byId("said"), trouble || "No worker is silent, and every queue has a consumer.");
  told = trouble;
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
