/**
 * The address: `#/tasks?q=state:FAILURE&task=ID&at=1h` is a screen, its parameters, an open
 * task and the time range, which every link keeps. All of it is in the fragment: it works below any path prefix and never
 * reaches a proxy's log.
 *
 * @typedef {{screen: string, arg: string, params: Record<string, string>}} Place
 */

/** Return the present place. @returns {Place} */
export function readAddress() {
  const text = location.hash.slice(1);
  const [path, query] = text.startsWith("/") ? splitAt(text, "?") : ["", text];
  const [screen, arg] = splitAt(path.slice(1), "/");
  const params = Object.fromEntries(new URLSearchParams(query));
  return { screen: screen || getDefaultScreen(params), arg: decode(arg), params };
}

/** Return a link to a screen, without empty parameters; it keeps the time range unless `params` has `at`. */
export function linkTo(screen, params = {}, arg = "") {
  const kept = { ...params, at: "at" in params ? params.at : readAddress().params.at };
  const present = new URLSearchParams(Object.entries(kept).filter(([, value]) => value));
  const tail = arg ? `/${encodeURIComponent(arg)}` : "";
  return `#/${screen}${tail}${present.size ? `?${formatParams(present)}` : ""}`;
}

/** Return a link to the present place with some parameters changed. */
export function linkWith(changes) {
  const { screen, arg, params } = readAddress();
  return linkTo(screen, { ...params, ...changes }, arg);
}

/** Change parameters of the address; with `addHistory`, Back undoes it. */
export function updateAddress(changes, addHistory = false) {
  const to = linkWith(changes);
  if (to === location.hash) return;
  if (addHistory) history.pushState({ opened: true }, "", to);
  else history.replaceState(history.state, "", to);
}

/** Go to a screen. */
export function navigate(screen, params = {}, arg = "") {
  location.hash = linkTo(screen, params, arg);
}

// Without a screen, a filter or a task is meant for the list.
const getDefaultScreen = (params) => (params.q || params.task ? "tasks" : "overview");

function splitAt(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The fragment needs less escaping than a query; a filter should stay readable.
function formatParams(params) {
  return String(params).replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%40", "@");
}
