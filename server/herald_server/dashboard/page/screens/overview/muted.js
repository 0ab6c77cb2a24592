/** Problems that the reader has muted, in this browser, for a working day. */

const KEY = "herald.muted";
const MUTED_MS = 8 * 3_600_000;

export const isMuted = (key) => (read()[key] ?? 0) > Date.now();
export const mute = (key) => write({ ...read(), [key]: Date.now() + MUTED_MS });
export const unmuteAll = () => write({});

let fallback = {}; // for browsers that forbid storage

function read() {
  try {
    const all = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return Object.fromEntries(Object.entries(all).filter(([, until]) => until > Date.now()));
  } catch {
    return fallback;
  }
}

function write(all) {
  fallback = all;
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // Storage is forbidden: the choice lasts until the page is left.
  }
}
