/**
 * Live collections of Celery tasks, workers and counts from a Herald server.
 *
 *     import { connect } from "https://herald.example/herald.js";
 *     const client = connect({ url: "wss://herald.example/ws", token });
 *     client.subscribe({ id: "failed", filter: { state: ["FAILURE"] } },
 *                      (tasks) => console.log(tasks.items));
 *
 * `renew: async () => (await fetch("/token")).text()` gets a new token before the
 * present one ends.
 *
 * One WebSocket, subprotocol `herald.v1`; no dependency. The client reconnects
 * and resumes at its cursor; where that cannot be, a new snapshot arrives
 * (`change.reset`), so `items` never mixes old and new data.
 */

// Served at the root, beside `dashboard/`, so that its address is short.
export { connect, Client } from "./dashboard/herald/client.js";
export { Collection } from "./dashboard/herald/collection.js";
