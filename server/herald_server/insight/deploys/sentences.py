"""What a comparison shows, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from herald_core.model.marks.mark import Mark
from herald_core.model.marks.views import (
    FEWER,
    MORE,
    SIMILAR,
    UNKNOWN,
    Comparison,
)
from herald_server.insight.deploys.comparison import MIN_RUNS
from herald_server.insight.deploys.periods import ComparedTime
from herald_server.insight.duration_text import humanize
from herald_server.insight.stats.rollup_cache import DAY_S

MAX_NAMED = 3


def describe_name(
    found: Comparison, mark: Mark, before: ComparedTime, now: float
) -> str:
    """Return what the comparison of one name shows."""
    words = [_describe_runtime(found, mark), _describe_failures(found)]
    return " ".join(part for part in (*words, _describe_age(before, now)) if part)


def describe_list(
    slower: Sequence[Comparison],
    failing: Sequence[Comparison],
    counts: Mapping[str, int],
    mark: Mark,
    before: ComparedTime,
    now: float,
) -> str:
    """Return how many names are slower or fail more, and which are the worst."""
    total, unknown = sum(counts.values()), counts.get(UNKNOWN, 0)
    first = f"Of {total} names {_count(slower)} slower since {describe_mark(mark)}"
    named = "; ".join(_describe_change(one) for one in slower[:MAX_NAMED])
    words = [f"{first}: {named}." if named else f"{first}."]
    if failing:
        verb = "fails" if len(failing) == 1 else "fail"
        rates = "; ".join(_describe_rates(one) for one in failing[:MAX_NAMED])
        words.append(f"{len(failing)} {verb} more often: {rates}.")
    if unknown:
        verb = "is" if unknown == 1 else "are"
        words.append(
            f"{unknown} had fewer than {MIN_RUNS} runs on one side and {verb} not "
            "judged."
        )
    return " ".join(part for part in (*words, _describe_age(before, now)) if part)


def describe_mark(mark: Mark) -> str:
    """Return a mark and its time: `deploy 4f1c (08:33)`."""
    return f"{mark.what} ({mark.at[11:16]} UTC)"


def _count(found: Sequence[Comparison]) -> str:
    if not found:
        return "none is"
    return "1 is" if len(found) == 1 else f"{len(found)} are"


def _describe_runtime(found: Comparison, mark: Mark) -> str:
    since = describe_mark(mark)
    if found.runtime == UNKNOWN:
        return (
            f"{found.name} is not judged: {found.before.runs} runs with a known "
            f"runtime before {since} and {found.after.runs} after; it takes {MIN_RUNS} "
            "on each side."
        )
    if found.runtime == SIMILAR:
        return f"{found.name} takes about as long as before {since}."
    return f"{_describe_change(found)}: {found.runtime} since {since}."


def _describe_change(found: Comparison) -> str:
    old, new = found.before, found.after
    median = f"{_format_seconds(old.p50)} → {_format_seconds(new.p50)}"
    p95 = f"{_format_seconds(old.p95)} → {_format_seconds(new.p95)}"
    runs = f"{old.runs} and {new.runs} runs"
    return f"{found.name} median {median}, p95 {p95} ({runs})"


def _describe_failures(found: Comparison) -> str:
    if found.failures not in (MORE, FEWER):
        return ""
    words = "more often" if found.failures == MORE else "less often"
    return f"It fails {words}: {_describe_rates(found)}."


def _describe_rates(found: Comparison) -> str:
    old, new = found.before, found.after
    return (
        f"{found.name} {old.failure_rate or 0:.1%} → {new.failure_rate or 0:.1%} "
        f"({old.failed} of {old.ended}, {new.failed} of {new.ended})"
    )


def _describe_age(before: ComparedTime, now: float) -> str:
    if before.since >= now - DAY_S:
        return ""
    part = "only a part" if before.until > now - DAY_S else "nothing"
    return f"Minutes are kept for a day: of the time before, {part} is still known."


def _format_seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"≈ {humanize(seconds)}"
