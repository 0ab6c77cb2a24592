"""Options that several commands share, and how a command gets its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from herald_monitor.errors import BadFilter
from herald_monitor.model.filters import parse_filter
from herald_monitor.model.shape import STATES
from herald_server.client import FilterKeys, Herald
from herald_server.client.address import DEFAULT_URL

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

option = partial(click.option, show_envvar=True)

url_option = option(
    "--url",
    envvar="HERALD_URL",
    default=DEFAULT_URL,
    show_default=True,
    help="Where Herald answers.",
)

# The client reads HERALD_TOKEN itself, so that a token in the URL goes first.
token_option = click.option(
    "--token",
    allow_from_autoenv=False,
    help="The token that Herald printed at its start.  [env var: HERALD_TOKEN]",
)

json_option = option(
    "--json", "as_json", envvar="HERALD_JSON", is_flag=True, help="Print JSON lines."
)

wait_timeout_option = option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long, with exit code 3.",
)


class State(click.ParamType):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    """A state; a wrong one gets the sentence that every door gives."""

    name = "state"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return "".join(parse_filter({"state": value}).state or ())
        except BadFilter as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(s) for s in STATES if s.startswith(incomplete.upper())]


FILTERS = [
    option("--name", multiple=True, metavar="GLOB", help="Task name, as reports.*"),
    option(
        "--state",
        multiple=True,
        type=State(),
        metavar="STATE",
        help=f"One of {', '.join(STATES)}.",
    ),
    option("--worker", multiple=True, metavar="GLOB", help="Worker, as celery@web*"),
    option("--queue", multiple=True, metavar="GLOB", help="Queue."),
    option("--root", multiple=True, metavar="ID", help="Task that began it all."),
    option("--parent", multiple=True, metavar="ID", help="Task that sent it."),
    option("--group", multiple=True, metavar="ID", help="Group."),
    option("--tag", multiple=True, metavar="TAG", help="Tag."),
]


def filtered(command: F) -> F:
    """Add the options of a filter. Repeated ones are OR, different ones AND."""
    for add in reversed(FILTERS):
        command = add(command)
    return command


def asked(ids: tuple[str, ...] = (), **given: tuple[str, ...]) -> FilterKeys:
    """Return the filter of the options that were given."""
    whole = {"ids": ids, **given}
    return cast(FilterKeys, {key: values for key, values in whole.items() if values})


def note(sentence: str) -> None:
    """Say something about the connection, beside what was asked for."""
    click.secho(f"herald: {sentence}", err=True, dim=True)


def connected(
    command: Callable[Concatenate[Herald, P], Awaitable[int | None]],
) -> Callable[..., None]:
    """Run `command` with a client; what it returns is the exit code.

    Adds --url and --token.
    """

    async def run(url: str, token: str | None, *args: Any, **given: Any) -> int | None:
        async with Herald(url, token, tell=note) as herald:
            return await command(herald, *args, **given)

    @token_option
    @url_option
    @wraps(command)
    def whole(url: str, token: str | None, *args: Any, **given: Any) -> None:
        code = asyncio.run(run(url, token, *args, **given))
        if code:
            click.get_current_context().exit(code)

    return whole
