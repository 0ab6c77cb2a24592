"""`herald start`."""

from __future__ import annotations

import sys

import click
import msgspec

from herald_client import ConfirmationNeeded, Herald, Started
from herald_server.cli.client_options import (
    json_option,
    option,
    run_with_client,
    wait_timeout_option,
)
from herald_server.cli.formatting import clean_line, to_json_line
from herald_server.cli.progress_meter import wait_for

MAX_QUESTION_CHARS = 4_000
"""Characters of a question that are printed: all that a server sends."""


@click.command()
@click.argument("task_type", metavar="TYPE")
@click.argument("params", nargs=-1, metavar="[KEY=VALUE]...")
@option(
    "--wait",
    is_flag=True,
    help="Wait until the task has ended; see herald wait --help.",
)
@option("--yes", is_flag=True, help="Confirm a task type that asks for confirmation.")
@wait_timeout_option
@json_option
@run_with_client
async def start(
    herald: Herald,
    task_type: str,
    params: tuple[str, ...],
    wait: bool,
    yes: bool,
    timeout: float | None,  # noqa: ASYNC109
    as_json: bool,
) -> int:
    """Start a task of the type TYPE, and print its id.

    A VALUE that is JSON is taken as JSON (5, true, [1, 2], "5"), any other as
    text. A task type that needs confirmation is confirmed on the terminal.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait; give both")
    started = await _start(herald, task_type, parse_params(params), yes)
    if as_json:
        click.echo(to_json_line(started))
    else:
        click.echo(started.task_id)
    if not wait:
        return 0
    return await wait_for(herald, started.task_id, timeout, as_json)


async def _start(
    herald: Herald, task_type: str, params: dict[str, object], yes: bool
) -> Started:
    """Start the task; ask the user to confirm if the server requires it."""
    try:
        return await herald.start(task_type, params)
    except ConfirmationNeeded as error:
        asked = error
    if not yes:
        _ask_user(str(asked))
    return await herald.start(task_type, params, confirmation=asked.confirmation)


def _ask_user(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.ClickException(
            f"{question} This needs the consent of a person: run it on a terminal, "
            "or give --yes. Nothing was started."
        )
    if not click.confirm(
        clean_line(" ".join(question.splitlines()), MAX_QUESTION_CHARS), err=True
    ):
        raise click.ClickException("Nothing was started.")


def parse_params(words: tuple[str, ...]) -> dict[str, object]:
    """Return the parameters given as `KEY=VALUE`."""
    params: dict[str, object] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{word!r} is no KEY=VALUE")
        if key in params:
            raise click.UsageError(f"{key!r} is given twice; a list is {key}=[1,2]")
        params[key] = _parse_value(text)
    return params


def _parse_value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
