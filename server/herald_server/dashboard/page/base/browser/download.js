/** Downloads with the token in a header: it must not be in an address. */

import { h } from "../dom.js";
import { BASE_URL, makeAuthHeaders } from "../token.js";

/**
 * Read `path` and offer it as a file; `onProgress(bytes)` runs while it is read.
 * Throws an error whose message can be shown.
 */
export async function download(path, name, onProgress = () => {}) {
  const response = await fetch(new URL(path, BASE_URL), { headers: makeAuthHeaders(), cache: "no-store" });
  if (!response.ok) throw new Error((await response.json().catch(() => null))?.detail ?? `The server answered with status ${response.status}.`);
  const chunks = [];
  let size = 0;
  for await (const chunk of read(response.body)) {
    chunks.push(chunk);
    onProgress((size += chunk.byteLength));
  }
  saveFile(new Blob(chunks, { type: response.headers.get("content-type") ?? "" }), name);
}

/** Offer a blob as a file. */
export function saveFile(blob, name) {
  const href = URL.createObjectURL(blob);
  const link = document.body.appendChild(h("a", { href, download: name, hidden: true }));
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

// Not all browsers can iterate over a stream.
async function* read(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
