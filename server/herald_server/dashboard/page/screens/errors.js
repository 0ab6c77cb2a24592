/** Errors: failed attempts by cause, the most frequent first. */

import { linkTo } from "../base/address.js";
import { formatCount, pluralize } from "../base/format.js";
import { showView, usePoll, useScreen, useSecond } from "../base/view/hooks.js";
import { html, useEffect, useRef } from "../base/view/preact.js";
import { Card, State } from "../parts/common/view.js";
import { Cause } from "./errors/cause.js";

const POLL_S = 30; // failures leave the range without a change
const REFRESH_MS = 1_000; // after a change; more changes meanwhile are one

/** @param {Element} place @param {import("../base/context/screen-context.js").ScreenContext} context */
export function show(place, context) {
  return showView(place, context, Errors);
}

function Errors({ params }) {
  const { range } = useScreen();
  useSecond();
  const query = new URLSearchParams({ ...toQuery(range), ...(params.name ? { name: params.name } : {}) });
  const answer = usePoll(`api/v1/failures?${query}`, range.isFixed ? 0 : POLL_S);
  useCauseChanges(answer.send);
  const { value, error, known, send } = answer;
  const when = range.isLive ? "last hour" : range.label;
  return html`<${Card} title=${`Errors, ${when}`} className="whole errors" note=${value ? describe(value) : ""} tools=${params.name && html`<${OnlyName} name=${params.name} />`}>
    <${State} known=${known} error=${value ? null : error} retry=${send} ok="No failures" empty=${value && !value.total && `No attempt failed in this time (${when}).`}>
      ${() => html`<ol class="causes">${value.failures.map((one) => html`<${Cause} key=${one.id} cause=${one} name=${params.name} answer=${value} max=${value.failures[0].count} />`)}</ol>
        ${value.other > 0 && html`<p class="fine causes-rest">${pluralize(value.other, "more attempt")} failed, of causes that are too many to count separately.</p>`}`}
    </${State}>
  </${Card}>`;
}

/** Says that only the causes of one name are listed, and leads to all. */
const OnlyName = ({ name }) => html`<span class="fine">only of <bdi>${name}</bdi></span><a class="button small" href=${linkTo("errors")} aria-label="Show the errors of all names">Show all</a>`;

// The server tells that causes changed; the counts of this range are asked for.
function useCauseChanges(send) {
  const screen = useScreen();
  const latest = useRef(send);
  latest.current = send;
  useEffect(() => {
    let timer = 0;
    const onChange = () => (timer ||= setTimeout(() => ((timer = 0), latest.current()), REFRESH_MS));
    screen.subscribe({ id: "failures", topic: "failures" }, onChange);
    return () => (clearTimeout(timer), screen.unsubscribe("failures"));
  }, []);
}

function toQuery(range) {
  if (range.isLive) return { window: "1h" };
  return range.isFixed || range.text === "5m" ? range.query : { window: range.text };
}

function describe({ total, failures, count, retried }) {
  const shown = total > failures.length ? `first ${formatCount(failures.length)} of ` : "";
  return `${shown}${pluralize(total, "cause")}, ${formatCount(count)} failed${retried ? `, ${formatCount(retried)} retried` : ""}`;
}
