// The TypeScript SDK: `@modelcontextprotocol/sdk`, or with NEW=1 `@modelcontextprotocol/client`.
import { ERA, Provider, STDIO, TOKEN, travel, URL_ } from "./journey.mjs";

const isNew = process.env.NEW === "1";
const sdk = "@modelcontextprotocol/sdk/client";
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = isNew
  ? await import("@modelcontextprotocol/client")
  : { ...(await import(`${sdk}/index.js`)), ...(await import(`${sdk}/streamableHttp.js`)), ...(await import(`${sdk}/auth.js`)) };
const { StdioClientTransport } = await import(
  isNew ? "@modelcontextprotocol/client/stdio" : `${sdk}/stdio.js`);

const provider = TOKEN ? undefined : new Provider();

function makeTransport() {
  if (STDIO.length) {
    return new StdioClientTransport({ command: STDIO[0], args: STDIO.slice(1), env: process.env, stderr: "ignore" });
  }
  const headers = TOKEN ? { Authorization: `Bearer ${TOKEN}` } : {};
  return new StreamableHTTPClientTransport(new URL(URL_), { requestInit: { headers }, authProvider: provider });
}

function makeClient() {
  const options = isNew && ERA !== "legacy" ? { versionNegotiation: { mode: "auto" } } : {};
  return new Client({ name: "matrix", version: "1" }, options);
}

let client = makeClient();
let transport = makeTransport();
try {
  await client.connect(transport);
} catch (error) {
  if (!provider?.code) throw error;
  await transport.finishAuth(provider.code, provider.iss);
  client = makeClient();
  transport = makeTransport();
  await client.connect(transport);
}
await travel(client);
await client.close();
process.exit(0);
