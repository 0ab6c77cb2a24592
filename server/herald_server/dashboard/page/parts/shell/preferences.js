/** The theme and the time zone that the user chose, kept in this browser. */

import { byId, setText } from "../../base/dom.js";
import { zone } from "../../base/format.js";

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };

/** Connect the two buttons; `onZoneChange` runs after the time zone changed. */
export function mount(onZoneChange) {
  zone.utc = readItem("zone") !== "local";
  let theme = readItem("theme") ?? "auto";
  const renderLabels = () => {
    setText(byId("zone"), zone.utc ? "UTC" : "Local");
    setText(byId("theme"), THEMES[theme] ?? THEMES.auto);
  };
  byId("zone").addEventListener("click", () => {
    zone.utc = !zone.utc;
    writeItem("zone", zone.utc ? null : "local");
    renderLabels();
    onZoneChange();
  });
  byId("theme").addEventListener("click", () => {
    theme = getNext(Object.keys(THEMES), theme);
    document.documentElement.dataset.theme = theme;
    writeItem("theme", theme === "auto" ? null : theme);
    renderLabels();
  });
  renderLabels();
}

const getNext = (all, present) => all[(all.indexOf(present) + 1) % all.length];

function readItem(key) {
  try {
    return localStorage.getItem(`herald.${key}`);
  } catch {
    return null;
  }
}

function writeItem(key, value) {
  try {
    if (value === null) localStorage.removeItem(`herald.${key}`);
    else localStorage.setItem(`herald.${key}`, value);
  } catch {
    // Storage is forbidden: the choice lasts until the page is left.
  }
}
