// What each TypeScript client of the matrix does; see journey.py.
export const URL_ = process.env.URL ?? "";
export const TOKEN = process.env.TOKEN ?? "";
export const STDIO = JSON.parse(process.env.STDIO ?? "[]");
export const ERA = process.env.ERA ?? "legacy";
const TASK_TYPE = process.env.TASK_TYPE;
const SECONDS = Number(process.env.SECONDS ?? "70");

export function tell(step, more = {}) {
  console.log(JSON.stringify({ step, ...more }));
}

function start(seconds) {
  return { task_type: TASK_TYPE, params: { seconds } };
}

export async function travel(client) {
  async function call(name, args) {
    const result = await client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result.structuredContent;
  }
  const listed = await client.listTools();
  tell("connect", { tools: listed.tools.length });
  const started = await call("start_background_task", start(SECONDS));
  tell("start");
  const began = Date.now();
  let calls = 0;
  let told = {};
  while (!told.done) {
    if (Date.now() - began > (SECONDS + 90) * 1000) throw new Error(JSON.stringify(told));
    calls += 1;
    told = await call("wait_for_task", { task_id: started.task_id });
  }
  if (told.status !== "success") throw new Error(JSON.stringify(told));
  tell("wait", { calls, seconds: Math.round((Date.now() - began) / 1000) });
  const other = await call("start_background_task", start(600));
  await call("cancel_task", { task_id: other.task_id });
  tell("cancel");
  const active = await call("list_active_tasks", {});
  if (!("total_active" in active)) throw new Error(JSON.stringify(active));
  tell("list");
}

// A user who agrees at once, and what a client keeps.
export class Provider {
  redirectUrl = "http://127.0.0.1:1/callback";
  clientMetadata = { client_name: "matrix", redirect_uris: [this.redirectUrl] };
  code = undefined;
  iss = undefined;
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  async redirectToAuthorization(url) {
    const answer = await fetch(url, { redirect: "manual" });
    const told = new URL(answer.headers.get("location")).searchParams;
    this.code = told.get("code");
    this.iss = told.get("iss");
  }
}
