/** The orders for queues are loaded when they are needed: the first screen does without. */

import { html, useEffect, useState } from "../../base/view/preact.js";

/** Draw the component `name` of the module with the other properties, once it is there. */
export function Lazy({ name, ...props }) {
  const [module, setModule] = useState(null);
  useEffect(() => void import("./queue-orders.js").then(setModule, () => {}), []);
  return module && html`<${module[name]} ...${props} />`;
}
