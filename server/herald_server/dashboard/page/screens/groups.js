/** Groups: what was sent together, and how far it has come. */

import { link } from "../address.js";
import { h } from "../dom.js";
import { ago, atLeast, count, many, portion } from "../format.js";
import { stateBadge } from "../parts/badge.js";
import { bar } from "../parts/bar.js";
import { empty } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { Table } from "../parts/table.js";

const COLUMNS = [
  { word: "Group", name: "n20" },
  { word: "Of", hide: true, title: "The names of its tasks" },
  { word: "Done", name: "n16" },
  { word: "Tasks", num: true, name: "n7" },
  { word: "States" },
  { word: "Changed", num: true, name: "n8", hide: true },
];

export function show(place, visit) {
  const table = new Table("Groups", COLUMNS, { key: (one) => one.group_id, cells });
  const listing = new Listing("Groups and chains", table, nothing, { className: "whole" });
  place.append(listing.el);
  let last = null;
  const draw = () => {
    const { value, error } = last ?? {};
    listing.render(value?.groups ?? [], { known: Boolean(last), error, again: () => asked.ask(), note: value ? said(value) : "" });
  };
  const asked = visit.ask("api/v1/groups", (answer) => ((last = answer), draw()), 5);
  return { refresh: draw };
}

const said = ({ groups, whole }) => (whole ? many(groups.length, "group") : `the newest ${many(groups.length, "group")}`);

function cells({ group_id: id, names, total, finished, whole, counts, newest_at: at }) {
  const share = total ? finished / total : 0;
  return [
    h("a", { href: link("group", {}, id), title: id }, id),
    names.join(", "),
    whole ? h("span", { className: "pair" }, bar(share), portion(finished, total)) : h("span", { title: "How many tasks it has is not known: those that have not ended may be missing" }, `${count(finished)} ended`),
    atLeast(total, whole),
    h("span", { className: "pair" }, Object.entries(counts).map(([state, n]) => h("span", { className: "pair" }, count(n), stateBadge(state)))),
    at ? ago(at) : null,
  ];
}

const nothing = () => empty("No group of late", "Groups and chains appear here when their tasks are heard of: celery's group(…) and chord(…), or what agents start together.");
