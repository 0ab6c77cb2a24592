/** One task type: its runs over the time range, and before and after a deploy. */

import { linkTo } from "../../base/address.js";
import { showView, useScreen } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { Name } from "../../parts/common/view.js";
import { emptyState } from "../../parts/common/placeholders.js";
import { History } from "../overview/history.js";
import { BeforeAfter } from "./before-after.js";

export function show(place, context) {
  if (context.place.arg) return showView(place, context, TypeView);
  place.append(emptyState("No task type", "Open one from the list of task types."));
  return {};
}

function TypeView({ params }) {
  const name = useScreen().place.arg;
  return html`<section class="card task-head" aria-label="Task type">
      <h2 class="task-name"><${Name} name=${name} /></h2>
      <p class="links"><a href=${linkTo("tasks", { q: `name:${name}` })}>Tasks</a> <a href=${linkTo("tasks", { q: `name:${name} state:FAILURE` })}>Failures</a> <a href=${linkTo("types")}>All task types</a></p>
    </section>
    <${History} name=${name} />
    <${BeforeAfter} name=${name} params=${params} />`;
}
