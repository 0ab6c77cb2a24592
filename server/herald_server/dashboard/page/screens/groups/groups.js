/** Groups and chains, and their progress. */

import { linkTo } from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatAge, formatAtLeast, formatCount, formatPortion, pluralize } from "../../base/format.js";
import { stateBadge } from "../../parts/common/badge.js";
import { bar } from "../../parts/common/bar.js";
import { emptyState } from "../../parts/common/placeholders.js";
import { TableCard } from "../../parts/common/table-card.js";

const COLUMNS = [
  { label: "Group", name: "n20" },
  { label: "Names", hide: true, title: "The names of its tasks" },
  { label: "Done", name: "n16" },
  { label: "Tasks", num: true, name: "n7" },
  { label: "States" },
  { label: "Changed", num: true, name: "n8", hide: true },
];

export function show(place, context) {
  const tableCard = new TableCard("Groups and chains", COLUMNS, { key: (one) => one.group_id, cells }, createPlaceholder, { className: "whole" });
  place.append(tableCard.el);
  let last = null;
  const draw = () => {
    const { value, error } = last ?? {};
    tableCard.render(value?.groups ?? [], { known: Boolean(last), error, retry: () => request.send(), note: value ? formatNote(value) : "" });
  };
  const request = context.poll("api/v1/groups", (answer) => ((last = answer), draw()), 5);
  return { refresh: draw };
}

const formatNote = ({ groups, whole }) => (whole ? pluralize(groups.length, "group") : `the newest ${pluralize(groups.length, "group")}`);

function cells({ group_id: id, names, total, finished, whole, counts, newest_at: at }) {
  const share = total ? finished / total : 0;
  return [
    h("a", { href: linkTo("group", {}, id), title: id }, id),
    names.join(", "),
    whole ? h("span", { className: "pair" }, bar(share), formatPortion(finished, total)) : h("span", { title: "The size of the group is not known: unfinished tasks may be missing" }, `${formatCount(finished)} ended`),
    formatAtLeast(total, whole),
    h("span", { className: "pair" }, Object.entries(counts).map(([state, n]) => h("span", { className: "pair" }, formatCount(n), stateBadge(state)))),
    at ? formatAge(at) : null,
  ];
}

const createPlaceholder = () => emptyState("No recent groups", "Groups and chains appear here when events of their tasks arrive: group(…) and chord(…) of Celery, or tasks that agents start as a group.");
