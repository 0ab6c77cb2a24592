/**
 * The address: `#/tasks?q=state:FAILURE&task=ID` is a screen, its words, and an open
 * task. All of it is in the fragment, so that it works below any path prefix and
 * never reaches a proxy's log.
 *
 * @typedef {{screen: string, arg: string, words: Record<string, string>}} Place
 */

/** Where we are. @returns {Place} */
export function read() {
  const text = location.hash.slice(1);
  const [path, query] = text.startsWith("/") ? cut(text, "?") : ["", text];
  const [screen, arg] = cut(path.slice(1), "/");
  const words = Object.fromEntries(new URLSearchParams(query));
  return { screen: screen || home(words), arg: decoded(arg), words };
}

/** A link to a screen. Words that are empty are left out. */
export function link(screen, words = {}, arg = "") {
  const kept = new URLSearchParams(Object.entries(words).filter(([, value]) => value));
  const tail = arg ? `/${encodeURIComponent(arg)}` : "";
  return `#/${screen}${tail}${kept.size ? `?${readable(kept)}` : ""}`;
}

/** A link to what is shown now, with some words changed. */
export function here(changes) {
  const { screen, arg, words } = read();
  return link(screen, { ...words, ...changes }, arg);
}

/** Change words of the present address; `step` makes a page of history that Back undoes. */
export function write(changes, step = false) {
  const to = here(changes);
  if (to === location.hash) return;
  if (step) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
}

/** Go to a screen. */
export function go(screen, words = {}, arg = "") {
  location.hash = link(screen, words, arg);
}

// Addresses without a screen: a filter or a task is meant for the list.
const home = (words) => (words.q || words.task ? "tasks" : "overview");

function cut(text, sign) {
  const at = text.indexOf(sign);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The fragment needs less escaping than a query; a filter should stay readable.
function readable(words) {
  return String(words).replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%40", "@");
}
