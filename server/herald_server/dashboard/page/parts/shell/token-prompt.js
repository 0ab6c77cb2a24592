/** Gets a token for a tab that has none: from another open tab of this Herald, or from a form. */

import { loadStylesheet } from "../../base/view/stylesheets.js";
import { getToken, openChannel, storeToken } from "../../base/token.js";
import { showTokenForm } from "./token-form.js";

const ANSWER_MS = 300; // in which another tab mostly answers; then the form is shown

/** Get a token from another tab or, where none answers, from the form. */
export async function obtainToken() {
  const channel = openChannel();
  const received = new Promise((resolve) => channel && requestToken(channel, resolve));
  if (channel) await Promise.race([received, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  if (!getToken()) await Promise.race([promptForToken(""), received]);
  document.querySelector(".token-form")?.remove();
  channel?.close();
}

/** Show the form; resolves once a token is stored. */
export async function promptForToken(/** @type {string} */ reason) {
  await loadStylesheet("token-form.css");
  if (getToken()) return; // another tab answered meanwhile
  const { token, isPrivate } = await showTokenForm(reason);
  storeToken(token, isPrivate);
}

function requestToken(channel, resolve) {
  channel.onmessage = ({ data }) => {
    if (typeof data?.token !== "string" || getToken()) return;
    storeToken(data.token);
    resolve();
  };
  channel.postMessage("ask");
}
