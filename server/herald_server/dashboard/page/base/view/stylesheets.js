/** Style sheets that only some screens need. */

import { h } from "../dom.js";

/** Load a style sheet of `styles/`, once. */
export function loadStylesheet(/** @type {string} */ name) {
  const href = new URL(`../../styles/${name}`, import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return undefined;
  const sheet = h("link", { rel: "stylesheet", href });
  document.head.append(sheet);
  return new Promise((resolve) => (sheet.onload = sheet.onerror = resolve));
}
