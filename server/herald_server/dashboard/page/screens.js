/** Every screen: its word in the navigation, and the module that draws it. */

/** @typedef {{word: string, key?: string, under?: string, css?: string|string[], load: () => Promise<any>}} Entry
 *  `key`: `g` and this letter go there; `under`: not in the navigation, but part of;
 *  `css`: style sheets of its own, beside `frame.css`. */

/** @type {Record<string, Entry>} In the order of the navigation. */
export const SCREENS = {
  overview: { word: "Overview", key: "o", css: "overview.css", load: () => import("./screens/overview.js") },
  tasks: { word: "Tasks", key: "t", css: "tasks.css", load: () => import("./screens/tasks.js") },
  task: { word: "Task", under: "tasks", css: ["panel.css", "task.css"], load: () => import("./screens/task.js") },
  groups: { word: "Groups", key: "r", load: () => import("./screens/groups.js") },
  group: { word: "Group", under: "groups", css: ["panel.css", "task.css"], load: () => import("./screens/group.js") },
  workers: { word: "Workers", key: "w", load: () => import("./screens/workers.js") },
  queues: { word: "Queues", key: "q", load: () => import("./screens/queues.js") },
  types: { word: "Task types", key: "y", load: () => import("./screens/types.js") },
  webhooks: { word: "Webhooks", key: "k", load: () => import("./screens/webhooks.js") },
  access: { word: "Access", key: "a", css: ["panel.css", "access.css"], load: () => import("./screens/access.js") },
  health: { word: "Health", key: "h", load: () => import("./screens/health.js") },
};
