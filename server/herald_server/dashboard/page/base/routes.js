/** Every screen: its label in the navigation, and its key. */

/** @typedef {{label: string, key?: string, under?: string, menu?: boolean, narrow?: boolean}} Route
 *  `key`: `g` and this letter open it; `under`: not in the navigation, but part of;
 *  `menu`: in the menu at the end of the navigation; `narrow`: also for tokens that see some tasks only. */

/** @type {Record<string, Route>} In the order of the navigation. */
export const SCREENS = {
  overview: { label: "Now", key: "o" },
  tasks: { label: "Tasks", key: "t", narrow: true },
  task: { label: "Task", under: "tasks" },
  changes: { label: "Changes", under: "tasks" },
  errors: { label: "Errors", key: "e" },
  queues: { label: "Queues", key: "q" },
  workers: { label: "Workers", key: "w" },
  worker: { label: "Worker", under: "workers" },
  schedule: { label: "Schedule", key: "p" },
  types: { label: "Task types", key: "y", menu: true },
  type: { label: "Task type", under: "types" },
  groups: { label: "Groups", key: "r", menu: true, narrow: true },
  group: { label: "Group", under: "groups" },
  webhooks: { label: "Webhooks", key: "k", menu: true },
  access: { label: "Access", key: "a", menu: true },
  health: { label: "Health", key: "h", menu: true },
};
