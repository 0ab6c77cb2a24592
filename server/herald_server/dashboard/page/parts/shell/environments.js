/** The switch between the environments of this server; absent where there is only one. */

import { readAddress } from "../../base/address.js";
import { byId, h } from "../../base/dom.js";
import { get } from "../../base/http.js";
import { BASE_URL, handOverToken } from "../../base/token.js";

/** Ask for the environments that the token may use, and show the switch before the other tools. */
export async function mount() {
  const { environments, current } = await get("api/v1/environments").catch(() => ({ environments: [], current: "" }));
  if (environments.length < 2) return;
  const own = environments.find(({ name }) => name === current)?.path ?? "";
  const root = BASE_URL.pathname.slice(0, BASE_URL.pathname.length - own.length);
  const options = environments.map(({ name, path, up, problem }) => h("option", { value: path, title: problem ?? "" }, up ? name : `${name} (not available)`));
  const select = h("select", { className: "environment", "aria-label": "Environment" }, options);
  select.value = own;
  select.addEventListener("change", () => open(root + select.value));
  byId("zone").before(select);
}

// The same screen there; a task of here is unknown there.
function open(path) {
  handOverToken(path);
  const { screen } = readAddress();
  location.assign(new URL(`${path}#/${screen}`, BASE_URL));
}
