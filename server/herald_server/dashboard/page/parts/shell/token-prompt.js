/** Gets a token for a tab that has none: from another open tab of this Herald, or from a form. */

import { loadStylesheet } from "../../base/view/stylesheets.js";
import { readSession } from "../../base/browser/session.js";
import { getToken, openChannel, storeToken } from "../../base/token.js";
import { showTokenForm } from "./token-form.js";

const ANSWER_MS = 300; // in which another tab mostly answers; then the form is shown

/** Return the session of somebody who signed in; else get a token from another tab or from the form, and return null. */
export async function obtainToken() {
  const session = await readSession();
  if (session?.caller) return session;
  const channel = openChannel();
  const received = new Promise((resolve) => channel && requestToken(channel, resolve));
  if (channel) await Promise.race([received, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  if (!getToken()) await Promise.race([promptForToken(""), received]);
  document.querySelector(".token-form")?.remove();
  channel?.close();
  return null;
}

/** Show the form; resolves once a token is stored. */
export async function promptForToken(/** @type {string} */ reason) {
  await loadStylesheet("token-form.css");
  if (getToken()) return; // another tab answered meanwhile
  const session = await readSession();
  const { token, isPrivate } = await showTokenForm(reason || session?.refusal || "", session?.methods ?? []);
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
