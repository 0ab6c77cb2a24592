/** The frame around every screen: navigation, title, and the change of screens. */

import * as address from "./base/address.js";
import { byId, setAttr, setText } from "./base/dom.js";
import { SCREENS } from "./base/routes.js";
import { ScreenContext } from "./base/context/screen-context.js";
import { errorState, skeleton } from "./parts/common/placeholders.js";
import * as navigation from "./parts/shell/navigation.js";
import * as rangePicker from "./parts/shell/range-picker.js";
import { loadScreen } from "./screen-loader.js";

const RETRY_MS = 3_000; // between two attempts to load a screen while the server is away

let client = null;
let live = null;
let attention = null;
let context = null;
let current = { key: "", update: () => {} };
let isFirst = true;
let [screenTitle, warning, troubles] = ["", "", 0]; // the parts of the tab's title

/** Set what screens get. */
export function mount(connected, /** @type {import("./base/context/live.js").Live} */ collections, found) {
  [client, live, attention] = [connected, collections, found];
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the address of the screen
    byId("main").focus();
  });
}

/** Show the screen of the address. */
export function openAddress() {
  const place = address.readAddress();
  const key = `${place.screen}/${place.arg}?${place.params.at ?? ""}`;
  if (key === current.key) return current.update(place.params);
  const name = place.screen in SCREENS ? place.screen : "overview";
  rangePicker.show();
  const { label, under } = SCREENS[name];
  leaveScreen();
  current = { key, update: () => {} };
  setTitle(label);
  navigation.setCurrent(under ?? name);
  enterScreen(name, place, key);
}

/** Render the present screen again; with a `refresh` of its own it keeps its scroll position. */
export function redraw() {
  rangePicker.show();
  if (current.refresh) return current.refresh();
  current = { key: "", update: () => {} };
  openAddress();
}

/** Set the title of the screen, for screen readers and for the tab. */
function setTitle(text) {
  setText(byId("title"), text);
  screenTitle = text;
  renderTitle();
}

/** Set the connection problem in the tab's title; empty if there is none. */
export function setWarning(text) {
  warning = text;
  renderTitle();
}

/** Set the number of problems in the tab's title. */
export function setTroubles(n) {
  troubles = n;
  renderTitle();
}

const renderTitle = () => (document.title = `${troubles ? `(${troubles}) ` : ""}${[warning, screenTitle, "Herald"].filter(Boolean).join(" · ")}`);

function leaveScreen() {
  context?.end();
  context = null;
}

async function enterScreen(name, place, key) {
  const screen = byId("screen");
  screen.replaceChildren(skeleton());
  setAttr(screen, "data-name", name);
  const own = (context = new ScreenContext(client, live, place, attention));
  let module;
  try {
    module = await loadScreen(name);
    if (own !== context) return;
    screen.replaceChildren();
    current = { key, update: () => {}, ...module.show(screen, own) };
  } catch (error) {
    if (own === context) screen.replaceChildren(errorState(`This screen could not be loaded: ${error.message}`, () => location.reload()));
    if (module) throw error;
    setTimeout(() => own === context && enterScreen(name, place, key), RETRY_MS);
    return;
  }
  byId("main").scrollTop = 0;
  if (!isFirst) byId("main").focus({ preventScroll: true });
  isFirst = false;
}
