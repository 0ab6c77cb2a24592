/** The start of the dashboard: one connection, the frame, and the screens in it. */

import { connect } from "../herald/client.js";
import * as address from "./base/address.js";
import { Attention } from "./base/context/attention.js";
import { Caller } from "./base/context/caller.js";
import { Live } from "./base/context/live.js";
import { button, byId, h, icon, schedule, setText } from "./base/dom.js";
import { pluralize } from "./base/format.js";
import { isStranded, mayBeStranded } from "./base/metrics.js";
import { BASE_URL, getToken, shareToken, storeToken, takeFromAddress } from "./base/token.js";
import { refreshSession, restorePlace } from "./base/browser/session.js";
import { preloadScreens } from "./screen-loader.js";
import { loadStylesheet } from "./base/view/stylesheets.js";
import * as frame from "./frame.js";
import * as accountMenu from "./parts/shell/account-menu.js";
import * as connectionStatus from "./parts/shell/connection-status.js";
import * as environments from "./parts/shell/environments.js";
import * as keyboard from "./parts/shell/keyboard.js";
import * as navigation from "./parts/shell/navigation.js";
import * as notices from "./parts/shell/notices.js";
import * as preferences from "./parts/shell/preferences.js";
import * as sidePanel from "./parts/shell/side-panel.js";

const PRELOAD_MS = 8_000; // after the start: the first screen goes before
const HIDDEN_MS = 60_000; // how long a hidden tab stays connected

const loadTokenPrompt = () => import("./parts/shell/token-prompt.js"); // most visits bring a token

const ORDERS_MS = 1_000; // after the first screen
const showOrders = (client) =>
  import("./parts/orders/corner.js").then(
    (corner) => corner.mount(client),
    () => setTimeout(showOrders, PRELOAD_MS, client), // the server is away
  );

let announced = ""; // the problem that screen readers were told last

takeFromAddress();
restorePlace();
const session = getToken() ? null : await (await loadTokenPrompt()).obtainToken();
shareToken();
start();

function start() {
  const url = new URL("ws", BASE_URL);
  url.protocol = url.protocol.replace("http", "ws");
  const client = connect({ url, token: getToken() });
  const live = new Live(client);
  const attention = new Attention(live);
  byId("main").hidden = false;
  connectionStatus.mount(client, attention);
  client.observe(handleRefusal);
  client.observe(() => frame.setWarning(connectionStatus.getProblem()));
  notices.mount({ client, attention });
  pauseWhenHidden(client);
  setTimeout(showOrders, ORDERS_MS, client);
  if (session?.expires) import("./parts/shell/session-keeper.js").then((keeper) => keeper.keepSession(client, session.expires));
  preferences.mount(redraw);
  sidePanel.mount({ client, live, attention }, onPanelClose);
  const caller = new Caller();
  navigation.mount(caller);
  accountMenu.mount(caller);
  keyboard.mount(async () => (await Promise.all([import("./parts/shell/jump.js"), loadStylesheet("jump.css")]))[0].open(live, navigation.isHidden));
  environments.mount();
  frame.mount(client, live, attention);
  attention.observe(({ problems }) => frame.setTroubles(problems?.length ?? 0));
  client.observe(refreshAfterLoss(attention));
  live.observe(renderFlags);
  addEventListener("hashchange", ({ oldURL, newURL }) => {
    if (takeFromAddress()) return location.reload();
    if (withoutTask(oldURL) === withoutTask(newURL) && address.readAddress().params.task) history.replaceState({ opened: true }, "");
    openAddress();
  });
  openAddress();
  setTimeout(preloadScreens, PRELOAD_MS);
}

const withoutTask = (url) => url.replace(/([?&])task=[^&]*&?/, "$1").replace(/[?&]$/, "");

function refreshAfterLoss(attention) {
  let last = "";
  return ({ word }) => {
    if (word === "live" && last && last !== "live") attention.send();
    last = word;
  };
}

// A hidden tab disconnects, and resumes from its cursors when it is visible again.
function pauseWhenHidden(client) {
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => notices.isOn() || client.rest(), HIDDEN_MS);
    else client.open();
  });
}

/** Show the screen and the task of the address: at the start, and after Back or a link. */
function openAddress() {
  frame.openAddress();
  const { task } = address.readAddress().params;
  if (task) sidePanel.open(task);
  else sidePanel.close();
}

// Back undoes a click that opened it; then no second entry of the same address is left.
function onPanelClose() {
  if (history.state?.opened) history.back();
  else address.updateAddress({ task: null });
  keyboard.restoreFocus();
}

// Every part of a screen shows times.
function redraw() {
  schedule(connectionStatus.render);
  sidePanel.redraw();
  frame.redraw();
}

function renderFlags(live) {
  const silent = [...live.workers.items.values()].filter((worker) => worker.state === "silent").length;
  const stranded = [...live.queues.items.values()].filter((queue) => isStranded(queue) || mayBeStranded(queue)).length;
  navigation.setFlag("workers", silent, "silent");
  navigation.setFlag("queues", stranded, "without a consumer");
  announce([silent ? `${pluralize(silent, "worker")} silent` : "", stranded ? `${pluralize(stranded, "queue")} without a consumer` : ""].filter(Boolean).join(", "));
}

// Once a change, not once a second: a screen reader reads it aloud.
function announce(problem) {
  if (problem === announced) return;
  setText(byId("announcer"), problem || "No worker is silent, and every queue has a consumer.");
  announced = problem;
}

function handleRefusal({ word, reason, code }) {
  if (word !== "refused") return;
  if (code === 4401) return renewToken(reason);
  byId("banner").replaceChildren(icon("slash"), h("span", {}, `The server refused the connection: ${reason}`), button("Try again", () => location.reload()));
  byId("banner").hidden = false;
}

async function renewToken(reason) {
  if (!getToken() && (await refreshSession())) return location.reload();
  storeToken(null);
  await (await loadTokenPrompt()).promptForToken(reason || "The token is no longer valid");
  location.reload();
}
