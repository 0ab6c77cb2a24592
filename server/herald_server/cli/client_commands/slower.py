"""`herald slower`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_core.model.marks.views import Comparison, Side
from herald_server.cli.client_options import json_option, option, run_with_client
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_duration,
    format_table,
    to_json_line,
)

COLUMNS = ("TASK", "MEDIAN", "P95", "FACTOR", "FAILURES", "RUNS")


@click.command()
@click.argument("name", required=False)
@option("--mark", metavar="ID", help="Since this mark; the newest by default.")
@option("--window", metavar="TIME", help="Time on each side: 15m, 1h (default), 12h.")
@json_option
@run_with_client
async def slower(
    herald: Herald,
    name: str | None,
    mark: str | None,
    window: str | None,
    as_json: bool,
) -> int:
    """List the task names that are slower since a mark, or fail more often.

    With a NAME compare that one, whatever it shows. Each value is before → after.
    The exit code is 1 if anything is slower or fails more often.
    """
    if name is not None:
        one = await herald.compare(name, mark, window)
        shown, worse = [one.comparison], _is_worse(one.comparison)
        message, answer = one.message, to_json_line(one)
    else:
        found = await herald.slower(mark, window)
        listed = {c.name: c for c in (*found.slower, *found.failing_more)}
        shown, worse = [*listed.values()], bool(listed)
        message, answer = found.message, to_json_line(found)
    if as_json:
        click.echo(answer)
    else:
        _print_table(shown)
        click.echo(clean_text(message))
    return int(worse)


def _is_worse(found: Comparison) -> bool:
    return found.runtime == "slower" or found.failures == "more"


def _print_table(shown: list[Comparison]) -> None:
    if shown:
        for line in format_table(COLUMNS, map(_format_row, shown)):
            click.echo(line)


def _format_row(found: Comparison) -> tuple[str, ...]:
    old, new = found.before, found.after
    ratio = found.p95_ratio if found.p95_ratio is not None else found.p50_ratio
    return (
        cut_first_line(found.name),
        _format_pair(old.p50, new.p50),
        _format_pair(old.p95, new.p95),
        "" if ratio is None else f"{ratio:g}x",
        f"{_format_rate(old)} → {_format_rate(new)}",
        f"{old.ended} → {new.ended}",
    )


def _format_pair(old: float | None, new: float | None) -> str:
    texts = ["?" if one is None else format_duration(one) for one in (old, new)]
    return " → ".join(texts)


def _format_rate(side: Side) -> str:
    return "?" if side.failure_rate is None else f"{side.failure_rate:.1%}"
