// Listens to tasks over MCP and prints what is pushed, a line each, until all ended.
// The last line tells which methods it has called:
//   node listens.mjs MODULE URL TOKEN TASK_ID…
import { pathToFileURL } from "node:url";

const [module, url, token, ...taskIds] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(module));

const asked = [];
const client = new Client(
  { name: "listener", version: "1" },
  {
    capabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
    versionNegotiation: { mode: { pin: "2026-07-28" } },
  },
);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
  fetch(input, init) {
    if (init?.method === "POST") asked.push(JSON.parse(init.body).method);
    return fetch(input, init);
  },
});

const open = new Set(taskIds);
const ended = Promise.withResolvers();
client.fallbackNotificationHandler = ({ method, params }) => {
  const { taskId, status, statusMessage, result, lastUpdatedAt } = params;
  const late = Date.now() - Date.parse(lastUpdatedAt); // ms since the event
  console.log(JSON.stringify({ method, taskId, status, statusMessage, result, late }));
  if (status !== "working") open.delete(taskId);
  if (open.size === 0) ended.resolve();
};

await client.connect(transport);
const listening = await client.listen({ taskIds });
await ended.promise;
await listening.close();
await client.close();
console.log(JSON.stringify({ asked }));
