"""Options that server commands share; each is an environment variable too."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from herald_core.system import logs

Command = TypeVar("Command", bound=Callable[..., Any])


def _set_log_format(_ctx: click.Context, _option: click.Parameter, chosen: str) -> str:
    os.environ[logs.FORMAT_VARIABLE] = chosen
    return chosen


SOURCE_OPTIONS = (
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
        help="An entry of broker_transport_options.  [env: HERALD_TRANSPORT_OPTIONS]",
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
        help="Another Celery setting of your project.  [env: HERALD_CELERY_SETTINGS]",
    ),
)
STORE_OPTIONS = (
    click.option(
        "--store",
        "store_url",
        envvar="HERALD_STORE_URL",
        show_envvar=True,
        help="Redis or Valkey in which Herald stores its data.",
    ),
    click.option(
        "--retention",
        type=float,
        envvar="HERALD_RETENTION",
        show_envvar=True,
        help="Seconds for which a finished task is kept.  [default: a day]",
    ),
)
EVENT_QUEUE_OPTIONS = (
    click.option(
        "--durable-events/--no-durable-events",
        default=None,
        envvar="HERALD_DURABLE_EVENTS",
        show_envvar=True,
        help="Let RabbitMQ store events while the monitor is down.",
    ),
    click.option(
        "--event-queue",
        metavar="NAME",
        envvar="HERALD_EVENT_QUEUE",
        show_envvar=True,
        help="Name of that queue; one for each store.  [default: herald]",
    ),
)
LISTEN_OPTIONS = (
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
        help="A token with all scopes; generated and printed by default.",
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
SECURITY_OPTIONS = (
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
        help="Private key, if it is in a separate file.",
    ),
    click.option(
        "--proxy-headers",
        envvar="HERALD_PROXY_HEADERS",
        show_envvar=True,
        metavar="ADDRESSES",
        help="Proxies whose X-Forwarded-For and -Proto are trusted.",
    ),
    click.option(
        "--audit-log",
        envvar="HERALD_AUDIT_LOG",
        show_envvar=True,
        metavar="FILE",
        help="Write each command as a JSON line; - for standard error.",
    ),
)
WORKERS_OPTION = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    envvar="HERALD_WORKERS",
    show_envvar=True,
    metavar="N",
    help="Server processes that share the port.  [default: 1]",
)
LOG_OPTIONS = (
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
        default=logs.TEXT_FORMAT,
        envvar=logs.FORMAT_VARIABLE,
        show_envvar=True,
        show_default=True,
        type=click.Choice(logs.FORMATS),
        # For all child processes too, so it is not passed as an argument.
        expose_value=False,
        is_eager=True,
        callback=_set_log_format,
        help="Log lines for people, or one JSON object a line.",
    ),
)
ENVIRONMENT_OPTION = click.option(
    "--environment",
    metavar="NAME",
    envvar="HERALD_ENVIRONMENT",
    show_envvar=True,
    help="One of HERALD_ENVIRONMENTS or of the herald.toml.  [default: default]",
)
DURATION_OPTION = click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop after this time, with exit code 0.",
)


Option = Callable[[Any], Any]


def combine_options(
    *groups: Option | tuple[Option, ...],
) -> Callable[[Command], Command]:
    """Return a decorator that adds groups of options to a command, in order."""
    listed: list[Option] = []
    for group in groups:
        listed += group if isinstance(group, tuple) else (group,)

    def give(command: Command) -> Command:
        # Decorators apply from the last to the first.
        for option in reversed(listed):
            command = option(command)
        return command

    return give
