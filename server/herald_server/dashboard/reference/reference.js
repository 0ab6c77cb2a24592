/** The reference page: shows `openapi.json`. Text is always text, never markup. */

import { byId, h } from "../page/base/dom.js";

const METHODS = ["get", "post", "put", "delete"];

/** Every operation of the document, in its order. */
function listOperations(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, ...item[method] })));
}

/** A schema in words, such as `list of TaskView`, with links to the named ones. */
function describeSchema(schema = {}) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [h("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.anyOf) return schema.anyOf.flatMap((one, at) => [at ? " or " : "", ...describeSchema(one)]);
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(", ")];
  if (schema.type === "array") return ["list of ", ...describeSchema(schema.items)];
  const { minimum: from, maximum: to } = schema;
  const range = from !== undefined && to !== undefined ? ` ${from} to ${to}` : "";
  return [`${schema.format ?? schema.type ?? "any"}${range}`];
}

function table(head, rows) {
  if (!rows.length) return null;
  const line = (tag, cells) => h("tr", {}, cells.map((cell) => h(tag, {}, cell)));
  return h("table", {}, h("thead", {}, line("th", head)), h("tbody", {}, rows.map((row) => line("td", row))));
}

function showParameters({ parameters }) {
  const rows = parameters.map(({ name, in: place, schema }) => [h("code", {}, name), place, describeSchema(schema)]);
  return table(["Parameter", "in", "type"], rows);
}

function showAnswers({ responses }) {
  const rows = Object.entries(responses).map(([status, { description, content }]) => {
    const schemas = Object.values(content ?? {}).map(({ schema }) => schema);
    const kinds = [...new Map(schemas.map((one) => [JSON.stringify(one), one])).values()];
    return [status, description, kinds.flatMap((one, at) => [at ? ", " : "", ...describeSchema(one)])];
  });
  return table(["Status", "meaning", "body"], rows);
}

function showOperation(one) {
  const body = one.requestBody?.content["application/json"]?.schema;
  return h("details", { id: one.operationId },
    h("summary", {}, h("span", { className: "method", "data-method": one.method }, one.method.toUpperCase()),
      h("code", {}, one.path), h("span", { className: "about" }, one.summary)),
    h("p", { className: "text" }, one.description),
    body ? h("p", {}, "Body: ", describeSchema(body)) : null,
    showParameters(one), showAnswers(one));
}

function showGroup(name, operations) {
  return h("section", { id: `group-${name}` }, h("h2", {}, name), operations.map(showOperation));
}

function showSchema([name, schema]) {
  const rows = Object.entries(schema.properties ?? {}).map(([key, one]) =>
    [h("code", {}, key), describeSchema(one), schema.required?.includes(key) ? "always" : ""]);
  return h("details", { id: `schema-${name}` }, h("summary", {}, h("code", {}, name)),
    h("p", { className: "text" }, schema.description ?? ""), table(["Member", "type", ""], rows));
}

function show(api) {
  const operations = listOperations(api);
  const groups = api.tags.map(({ name }) => [name, operations.filter(({ tags }) => tags.includes(name))]);
  byId("about").textContent = api.info.description;
  byId("groups").replaceChildren(...[...api.tags.map(({ name }) => name), "Schemas"].map((name) =>
    h("a", { href: `#group-${name}` }, name)));
  byId("operations").replaceChildren(...groups.map(([name, found]) => showGroup(name, found)),
    h("section", { id: "group-Schemas" }, h("h2", {}, "Schemas"), Object.entries(api.components.schemas).map(showSchema)));
  openTarget();
}

/** Hide what does not contain the text of the search box. */
function find() {
  const words = byId("find").value.toLowerCase().split(/\s+/);
  for (const one of document.querySelectorAll("details")) {
    const text = one.textContent.toLowerCase();
    one.hidden = !words.every((word) => text.includes(word));
  }
}

/** Open what the address points to. */
function openTarget() {
  const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

byId("find").addEventListener("input", find);
addEventListener("hashchange", openTarget);
const answer = await fetch("openapi.json");
if (answer.ok) show(await answer.json());
else byId("about").textContent = `The document could not be read (${answer.status}). Reload the page.`;
