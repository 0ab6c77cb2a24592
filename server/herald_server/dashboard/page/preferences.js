/** What a reader chose: the theme and the zone of times. Kept on this machine. */

import { byId, say } from "./dom.js";
import { zone } from "./format.js";

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };

/** Wire the two buttons; `changed` runs when times must be written anew. */
export function show(changed) {
  zone.utc = recall("zone") !== "local";
  let theme = recall("theme") ?? "auto";
  const words = () => {
    say(byId("zone"), zone.utc ? "UTC" : "Local");
    say(byId("theme"), THEMES[theme] ?? THEMES.auto);
  };
  byId("zone").addEventListener("click", () => {
    zone.utc = !zone.utc;
    remember("zone", zone.utc ? null : "local");
    words();
    changed();
  });
  byId("theme").addEventListener("click", () => {
    theme = after(Object.keys(THEMES), theme);
    document.documentElement.dataset.theme = theme;
    remember("theme", theme === "auto" ? null : theme);
    words();
  });
  words();
}

const after = (all, one) => all[(all.indexOf(one) + 1) % all.length];

function recall(key) {
  try {
    return localStorage.getItem(`herald.${key}`);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(`herald.${key}`);
    else localStorage.setItem(`herald.${key}`, value);
  } catch {
    // Storage is forbidden here: the choice lasts as long as the page.
  }
}
