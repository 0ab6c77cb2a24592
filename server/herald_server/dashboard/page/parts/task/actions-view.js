/** The actions of one task: copy, open elsewhere, cancel, run again. */

import { linkTo } from "../../base/address.js";
import { copyText } from "../../base/browser/clipboard.js";
import { cancelTask, get, retryTask } from "../../base/http.js";
import { BASE_URL } from "../../base/token.js";
import { html, useEffect, useState } from "../../base/view/preact.js";
import { Menu } from "../common/menu.js";
import { FocusedButton } from "../common/view.js";
import { Links } from "./links-view.js";
import { RerunEditor } from "./rerun-editor.js";

/** @param {{task: any, path: string}} props */
export function Actions({ task, path }) {
  const [confirming, setConfirming] = useState(null); // "cancel", "retry" or null
  const [answer, setAnswer] = useState(null); // {tone, text, more}
  const [copied, setCopied] = useState("");
  useEffect(() => (setConfirming(null), setAnswer(null), setCopied("")), [task.id]);
  const perform = async (progress, send, toAnswer) => {
    setConfirming(null);
    setAnswer({ tone: "wait", text: progress });
    setAnswer(await send(task.id).then(toAnswer, (error) => ({ tone: "bad", text: error.message })));
  };
  const cancel = () => perform("Asking the worker …", cancelTask, ({ status, message }) => ({ tone: status === "revoked" ? "good" : "warn", text: message ? `${status}: ${message}` : status }));
  const retry = (body) => perform("Sending the task …", (id) => retryTask(id, body), ({ task_id: id, message }) => ({ tone: "good", text: message ?? "Sent.", more: { label: "Open the new run", href: linkTo("task", {}, id) } }));
  const explain = () => perform("Asking the workers …", () => get(`${path}/why`), ({ message, advice }) => ({ tone: "quiet", text: [message, advice].filter(Boolean).join(" ") }));
  const copy = async (label, text) => (await copyText(text), setCopied(label));
  const known = task.state && task.state !== "UNKNOWN";
  return html`<div class="actions">
    ${known && !confirming && (task.final ? html`<button type="button" class="strong" onClick=${() => setConfirming("retry")}>Run again …</button>`
      : html`<button type="button" onClick=${explain}>Why is it not done?</button><button type="button" class="danger" onClick=${() => setConfirming("cancel")}>Cancel task …</button>`)}
    <button type="button" onClick=${() => copy("id", task.id)}>${copied === "id" ? "Copied" : "Copy id"}</button>
    <${Menu} label=${copied && copied !== "id" ? "Copied" : "Copy …"} name="Copy" className="">${(close) => html`<div class="links">${listCopies(task).map(([label, text]) => html`<button type="button" class="quiet" onClick=${() => (close(), copy(label, text))}>${label}</button>`)}</div>`}</${Menu}>
    <${Links} task=${task} />
    ${confirming === "cancel" && html`<span class="confirm">Cancel this task? <${FocusedButton} class="danger strong" onClick=${cancel}>Yes, cancel it</${FocusedButton}><button type="button" onClick=${() => setConfirming(null)}>No</button></span>`}
    ${confirming === "retry" && html`<${RerunEditor} task=${task} onRun=${retry} onCancel=${() => setConfirming(null)} onProblem=${(text) => setAnswer({ tone: "bad", text })} />`}
    ${answer && html`<p class="answer" role="status" data-tone=${answer.tone}>${answer.text}${answer.more && html` <a href=${answer.more.href}>${answer.more.label}</a>`}</p>`}
  </div>`;
}

function listCopies(task) {
  const link = new URL(linkTo("task", { at: null }, task.id), location.href).href;
  const url = new URL(`api/v1/tasks/${encodeURIComponent(task.id)}`, BASE_URL);
  const report = [`${task.name ?? "task"} ${task.id}: ${task.state}`, task.exception, task.worker && `worker ${task.worker}`, task.args && `args ${task.args}`, task.kwargs && `kwargs ${task.kwargs}`, link].filter(Boolean).join("\n");
  return [["Link", link], ["Report", report], ["curl", `curl -H "Authorization: Bearer $HERALD_TOKEN" '${url}'`], ...(task.traceback ? [["Traceback", task.traceback]] : [])];
}
