/** Choices that are kept in this browser; where storage is forbidden they last until the page is left. */

const memory = new Map();

/** Return what was kept by this key; `usual` if there is nothing, or what cannot be read. */
export function readChoice(/** @type {string} */ key, usual) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? usual;
  } catch {
    return memory.get(key) ?? usual;
  }
}

/** Keep a value that JSON can tell. */
export function keepChoice(/** @type {string} */ key, value) {
  memory.set(key, value);
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // It is in `memory`.
  }
}
