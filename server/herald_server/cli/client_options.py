"""Options that client commands share, and how a command gets its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from herald_client import FilterKeys, Herald
from herald_client.connection.url import DEFAULT_URL
from herald_core.errors import InvalidFilter
from herald_core.model.filters import parse_filter
from herald_core.model.tasks.views import STATES

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

option = partial(click.option, show_envvar=True)

url_option = option(
    "--url",
    envvar="HERALD_URL",
    default=DEFAULT_URL,
    show_default=True,
    help="URL of Herald.",
)

# The client reads HERALD_TOKEN itself, so that a token in the URL takes precedence.
token_option = click.option(
    "--token",
    allow_from_autoenv=False,
    help="The token that Herald prints when it starts.  [env var: HERALD_TOKEN]",
)

environment_option = option(
    "--environment",
    envvar="HERALD_ENVIRONMENT",
    metavar="NAME",
    help="One of the environments of that Herald.  [default: that of the URL]",
)

json_option = option(
    "--json", "as_json", envvar="HERALD_JSON", is_flag=True, help="Print JSON lines."
)

wait_timeout_option = option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop waiting after this time, with exit code 3.",
)


class State(click.ParamType):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    """A task state; an invalid one gets the error message of the filter parser."""

    name = "state"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return "".join(parse_filter({"state": value}).state or ())
        except InvalidFilter as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(s) for s in STATES if s.startswith(incomplete.upper())]


FILTER_OPTIONS = [
    option(
        "--name", multiple=True, metavar="GLOB", help="Task name, such as reports.*"
    ),
    option(
        "--state",
        multiple=True,
        type=State(),
        metavar="STATE",
        help=f"One of {', '.join(STATES)}.",
    ),
    option(
        "--worker", multiple=True, metavar="GLOB", help="Worker, such as celery@web*"
    ),
    option("--queue", multiple=True, metavar="GLOB", help="Queue."),
    option("--root", multiple=True, metavar="ID", help="Root task."),
    option("--parent", multiple=True, metavar="ID", help="Parent task."),
    option("--group", multiple=True, metavar="ID", help="Group."),
    option("--tag", multiple=True, metavar="TAG", help="Tag."),
    option(
        "--failure",
        multiple=True,
        metavar="FINGERPRINT",
        help="Cause of failure, as `herald failures` lists them.",
    ),
]


def add_filter_options(command: F) -> F:
    """Add the filter options. Repeated options are alternatives,
    different ones combine."""
    for add in reversed(FILTER_OPTIONS):
        command = add(command)
    return command


def make_filter(ids: tuple[str, ...] = (), **given: tuple[str, ...]) -> FilterKeys:
    """Return the filter of the given options."""
    whole = {"ids": ids, **given}
    return cast(FilterKeys, {key: values for key, values in whole.items() if values})


def print_notice(sentence: str) -> None:
    """Print a notice to standard error."""
    click.secho(f"herald: {sentence}", err=True, dim=True)


def run_with_client(
    command: Callable[Concatenate[Herald, P], Awaitable[int | None]],
) -> Callable[..., None]:
    """Run `command` with a client; its return value is the exit code.

    Adds --url, --token and --environment.
    """

    async def run(made: Herald, *args: Any, **given: Any) -> int | None:
        async with made as herald:
            return await command(herald, *args, **given)

    @environment_option
    @token_option
    @url_option
    @wraps(command)
    def whole(
        url: str, token: str | None, environment: str | None, *args: Any, **given: Any
    ) -> None:
        made = Herald(url, token, tell=print_notice, environment=environment)
        code = asyncio.run(run(made, *args, **given))
        if code:
            click.get_current_context().exit(code)

    return whole
