"""`herald failures`."""

from __future__ import annotations

import click

from herald_client import Herald
from herald_core.model.failures.summary import FailureList, FailureSummary
from herald_server.cli.client_options import (
    json_option,
    option,
    print_notice,
    run_with_client,
)
from herald_server.cli.formatting import (
    cut_first_line,
    format_moment,
    format_table,
    to_json_line,
)
from herald_server.insight.failures.summaries import WINDOWS

COLUMNS = ("FAILED", "RETRIED", "LAST", "", "EXCEPTION", "FRAME", "NAMES", "CAUSE")

MAX_NAMES = 3


@click.command()
@option(
    "--window",
    type=click.Choice(list(WINDOWS)),
    default="1h",
    show_default=True,
    help="How far back.",
)
@option("--name", multiple=True, metavar="GLOB", help="Task name, such as reports.*")
@option(
    "--limit",
    type=click.IntRange(1, 200),
    default=25,
    show_default=True,
    help="Maximum number of causes.",
)
@json_option
@run_with_client
async def failures(
    herald: Herald,
    /,
    window: str,
    name: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List the causes of failures, the most frequent first.

    A cause is an exception and the innermost frame of your own code. `herald tasks
    --failure CAUSE` lists its tasks.
    """
    found = await herald.failures(window, name or None, limit)
    if as_json:
        for one in found.failures:
            click.echo(to_json_line(one))
        return
    for text in format_table(COLUMNS, map(_format_row, found.failures)):
        click.echo(text)
    _print_rest(found)


def _format_row(one: FailureSummary) -> tuple[str, ...]:
    names = [*one.names]
    more = f" +{len(names) - MAX_NAMES}" if len(names) > MAX_NAMES else ""
    return (
        str(one.count),
        str(one.retried),
        format_moment(one.last_seen),
        click.style("new", fg="red") if one.new_since_deploy else "",
        cut_first_line(one.exception, 50),
        cut_first_line(one.frame or one.message_example, 60),
        cut_first_line(", ".join(names[:MAX_NAMES]) + more, 60),
        one.fingerprint,
    )


def _print_rest(found: FailureList) -> None:
    if not found.total:
        print_notice(f"nothing failed in the last {found.window}")
    elif found.total > len(found.failures):
        print_notice(f"{found.total} causes; --limit shows up to 200")
    if found.other:
        print_notice(f"{found.other} more attempts failed of causes too many to count")
