"""Options that several commands share; each is an environment variable as well."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from herald_monitor import logs
from herald_monitor.errors import BadInput
from herald_server.config import ServerSettings

Command = TypeVar("Command", bound=Callable[..., Any])


def _log_format(_ctx: click.Context, _option: click.Parameter, chosen: str) -> str:
    os.environ[logs.FORMAT] = chosen
    return chosen


SOURCE = (
    click.option(
        "--broker",
        "broker_url",
        envvar="HERALD_BROKER_URL",
        show_envvar=True,
        help="Celery's broker.",
    ),
    click.option(
        "--backend",
        "result_backend",
        envvar="HERALD_RESULT_BACKEND",
        show_envvar=True,
        help="Celery's result backend.",
    ),
    click.option(
        "-A",
        "--app",
        "app",
        envvar="HERALD_APP",
        show_envvar=True,
        help="Your Celery app, instead of --broker and --backend.",
    ),
    click.option(
        "--transport-option",
        "transport_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="One of broker_transport_options.  [env: HERALD_TRANSPORT_OPTIONS]",
    ),
    click.option(
        "--backend-option",
        "backend_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="The same of the result backend.  [env: HERALD_BACKEND_OPTIONS]",
    ),
    click.option(
        "--celery-setting",
        "celery_settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another setting of your project.  [env: HERALD_CELERY_SETTINGS]",
    ),
)
STORE = (
    click.option(
        "--store",
        "store_url",
        envvar="HERALD_STORE_URL",
        show_envvar=True,
        help="Redis or Valkey in which Herald keeps what it knows.",
    ),
    click.option(
        "--retention",
        type=float,
        envvar="HERALD_RETENTION",
        show_envvar=True,
        help="Seconds for which a finished task is kept.  [default: a day]",
    ),
)
KEEPING = (
    click.option(
        "--durable-events/--no-durable-events",
        default=None,
        envvar="HERALD_DURABLE_EVENTS",
        show_envvar=True,
        help="Let RabbitMQ keep events while the monitor is away.",
    ),
    click.option(
        "--event-queue",
        metavar="NAME",
        envvar="HERALD_EVENT_QUEUE",
        show_envvar=True,
        help="Where it keeps them; another name for each store.  [default: herald]",
    ),
)
DOORS = (
    click.option(
        "--host",
        envvar="HERALD_HOST",
        show_envvar=True,
        help="Address to listen on.  [default: 127.0.0.1]",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        envvar="HERALD_PORT",
        show_envvar=True,
        help="Port to listen on; 0 takes a free one.  [default: 8787]",
    ),
    click.option(
        "--token",
        envvar="HERALD_TOKEN",
        show_envvar=True,
        help="A token with all scopes; made up and printed if left out.",
    ),
    click.option(
        "--root-path",
        envvar="HERALD_ROOT_PATH",
        show_envvar=True,
        metavar="PATH",
        help="Path below which a reverse proxy serves Herald, such as /herald.",
    ),
    click.option(
        "--catalog",
        type=click.Path(dir_okay=False),
        envvar="HERALD_CATALOG",
        show_envvar=True,
        help="A herald.toml: task types that may be started.",
    ),
)
SAFETY = (
    click.option(
        "--tls-cert",
        type=click.Path(dir_okay=False),
        envvar="HERALD_TLS_CERT",
        show_envvar=True,
        help="Serve TLS with this certificate chain (PEM).",
    ),
    click.option(
        "--tls-key",
        type=click.Path(dir_okay=False),
        envvar="HERALD_TLS_KEY",
        show_envvar=True,
        help="Its key, if that is in a file of its own.",
    ),
    click.option(
        "--proxy-headers",
        envvar="HERALD_PROXY_HEADERS",
        show_envvar=True,
        metavar="ADDRESSES",
        help="Proxies whose X-Forwarded-For and -Proto are believed.",
    ),
    click.option(
        "--audit-log",
        envvar="HERALD_AUDIT_LOG",
        show_envvar=True,
        metavar="FILE",
        help="Write each order as a JSON line; - for standard error.",
    ),
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    envvar="HERALD_WORKERS",
    show_envvar=True,
    metavar="N",
    help="Server processes on the one port.  [default: 1]",
)
LOGS = (
    click.option(
        "--log-level",
        default="INFO",
        envvar="HERALD_LOG_LEVEL",
        show_envvar=True,
        show_default=True,
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    ),
    click.option(
        "--log-format",
        default=logs.TEXT,
        envvar=logs.FORMAT,
        show_envvar=True,
        show_default=True,
        type=click.Choice(logs.FORMATS),
        # Of all processes that are started from here, so it is no argument.
        expose_value=False,
        is_eager=True,
        callback=_log_format,
        help="Log lines for people, or one JSON object a line.",
    ),
)
FOR = click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop by itself after so long, with exit 0.",
)


Option = Callable[[Any], Any]


def options(*groups: Option | tuple[Option, ...]) -> Callable[[Command], Command]:
    """Give a command the options of some groups, in their order."""
    listed: list[Option] = []
    for group in groups:
        listed += group if isinstance(group, tuple) else (group,)

    def give(command: Command) -> Command:
        # Decorators apply from the last to the first.
        for option in reversed(listed):
            command = option(command)
        return command

    return give


def settings_of(**given: Any) -> ServerSettings:
    """Return the settings: what was `given` over the environment. Raises `BadInput`."""
    try:
        # An option that may be repeated is () if nobody gave it.
        told = {k: v for k, v in given.items() if v is not None and v != ()}
        return ServerSettings(**told)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "_".join(str(part) for part in wrong["loc"])
        raise BadInput(f"HERALD_{name.upper()}: {wrong['msg']}", name) from error


def log_to_stderr(level: str) -> None:
    """Send log lines to standard error."""
    logs.set_up(level)
    # Each request of an MCP client would be a line.
    for chatty in ("httpx", "mcp", "fastmcp", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(
            max(logging.WARNING, logging.getLogger().level)
        )
