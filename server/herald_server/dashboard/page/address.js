/** What the address bar keeps: the filter and the open task, in the fragment. */

/** @returns {{q: string, task: string|null}} */
export function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  return { q: words.get("q") ?? "", task: words.get("task") };
}

/** Write changes into the address; `step` makes a page of history that Back undoes. */
export function write(changes, step = false) {
  const words = { ...read(), ...changes };
  const kept = new URLSearchParams();
  for (const key of ["q", "task"]) if (words[key]) kept.set(key, words[key]);
  const text = readable(kept);
  const to = text ? `#${text}` : location.pathname + location.search;
  if (step) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
}

/** Link to a filter or a task. */
export const link = (words) => `#${readable(new URLSearchParams(words))}`;

// The fragment needs less escaping than a query; a filter should stay readable.
function readable(words) {
  return String(words).replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%40", "@");
}
