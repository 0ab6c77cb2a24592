/** Loads the module and the style sheets of a screen when it is first opened. */

import { loadStylesheet } from "./base/view/stylesheets.js";

const MODULES = {
  overview: () => import("./screens/overview.js"),
  tasks: () => import("./screens/tasks/tasks.js"),
  task: () => import("./screens/tasks/task.js"),
  changes: () => import("./screens/tasks/changes.js"),
  errors: () => import("./screens/errors.js"),
  groups: () => import("./screens/groups/groups.js"),
  group: () => import("./screens/groups/group.js"),
  workers: () => import("./screens/workers.js"),
  worker: () => import("./screens/worker.js"),
  queues: () => import("./screens/queues.js"),
  schedule: () => import("./screens/schedule.js"),
  types: () => import("./screens/types.js"),
  type: () => import("./screens/types/type.js"),
  webhooks: () => import("./screens/herald/webhooks.js"),
  access: () => import("./screens/herald/tokens-audit.js"),
  health: () => import("./screens/herald/health.js"),
};

const STYLES = {
  overview: ["charts.css", "screens/overview.css"],
  tasks: ["tasks.css", "charts.css"],
  task: ["panel.css", "task.css"],
  worker: ["panel.css", "task.css", "screens/worker.css"],
  changes: ["screens/feed.css"],
  errors: ["screens/errors.css"],
  schedule: ["screens/schedule.css"],
  types: ["screens/types.css"],
  type: ["charts.css", "screens/overview.css", "task.css", "screens/types.css"],
  group: ["panel.css", "task.css"],
  access: ["panel.css", "screens/tokens-audit.css"],
};

const PARTS = [
  () => import("./parts/orders/bulk-sheet.js"),
  () => import("./parts/orders/purge-sheet.js"),
  () => import("./parts/shell/help-dialog.js"),
  () => import("./parts/shell/jump.js"),
  () => import("./parts/task/panel.js"),
];

/** Load all screens and dialogs, so that each can be opened while the server is away. */
export function preloadScreens() {
  const loads = [...Object.keys(MODULES).map(loadScreen), ...PARTS.map((load) => load())];
  for (const load of loads) load.catch(() => {}); // it is loaded again when it is opened
}

/** Return the module of a screen, once its style sheets are loaded too. */
export async function loadScreen(/** @type {string} */ name) {
  const styles = (STYLES[name] ?? []).map(loadStylesheet);
  const [module] = await Promise.all([MODULES[name](), ...styles]);
  return module;
}
