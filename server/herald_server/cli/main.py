"""The command line: the group `herald`. Command modules are imported on demand."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, NoReturn

import click

from herald_core.errors import HeraldError
from herald_server.cli.extras import explain_missing

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run Herald": {
        "demo": (
            "herald_server.cli.server_commands.demo:demo",
            "Run everything on this machine, with sample tasks.",
        ),
        "up": (
            "herald_server.cli.server_commands.up:up",
            "Run monitor and server for your Celery, in one command.",
        ),
        "monitor": (
            "herald_server.cli.server_commands.monitor:monitor",
            "Run only the monitor: receive events and store their meaning.",
        ),
        "server": (
            "herald_server.cli.server_commands.server:server",
            "Run only the server: push changes to people, programs and agents.",
        ),
        "mcp": (
            "herald_server.cli.server_commands.mcp:mcp",
            "Serve MCP to an agent over stdio.",
        ),
    },
    "Look": {
        "watch": (
            "herald_server.cli.client_commands.watch:watch",
            "Print tasks as they change.",
        ),
        "wait": (
            "herald_server.cli.client_commands.wait:wait",
            "Wait for a task to end; the exit code is its outcome.",
        ),
        "tasks": ("herald_server.cli.client_commands.tasks:tasks", "List tasks."),
        "workers": (
            "herald_server.cli.client_commands.workers:workers",
            "List workers.",
        ),
        "queues": (
            "herald_server.cli.client_commands.queues:queues",
            "List queues: depth, age, and the workers that consume them.",
        ),
        "failures": (
            "herald_server.cli.client_commands.failures:failures",
            "List the causes of failures, the most frequent first.",
        ),
        "schedules": (
            "herald_server.cli.client_commands.schedules:schedules",
            "List periodic tasks, and which did not run.",
        ),
        "alert": (
            "herald_server.cli.client_commands.alert:alert",
            "List alerts, silence some, or test where they are sent.",
        ),
        "status": (
            "herald_server.cli.client_commands.status:status",
            "Show a task in full.",
        ),
        "why": (
            "herald_server.cli.client_commands.why:why",
            "Say why a task has not started or ended.",
        ),
        "types": (
            "herald_server.cli.client_commands.types:types",
            "List task types and names, with their figures.",
        ),
        "groups": (
            "herald_server.cli.client_commands.groups:groups",
            "List groups and chains, or show one.",
        ),
        "slower": (
            "herald_server.cli.client_commands.slower:slower",
            "List what became slower since a deploy.",
        ),
    },
    "Find out": {
        "doctor": (
            "herald_server.cli.server_commands.doctor:doctor",
            "Check the connections and settings, and say what to change.",
        ),
        "catalog": (
            "herald_server.cli.server_commands.catalog:catalog",
            "Write a herald.toml from the tasks of an app.",
        ),
        "record": (
            "herald_server.cli.server_commands.record:record",
            "Write a broker's raw events to a file.",
        ),
        "replay": (
            "herald_server.cli.server_commands.replay:replay",
            "Replay a recording into a store or to standard output.",
        ),
    },
    "Act": {
        "mark": (
            "herald_server.cli.client_commands.mark:mark",
            "Mark a deploy on every chart.",
        ),
        "start": ("herald_server.cli.client_commands.start:start", "Start a task."),
        "cancel": (
            "herald_server.cli.client_commands.cancel:cancel",
            "Cancel a task, or many.",
        ),
        "retry": (
            "herald_server.cli.client_commands.bulk:retry",
            "Run finished tasks again.",
        ),
        "orders": (
            "herald_server.cli.client_commands.orders:orders",
            "List orders for many tasks; show or stop one.",
        ),
        "purge": (
            "herald_server.cli.client_commands.orders:purge",
            "Remove all messages that wait in a queue.",
        ),
        "worker": (
            "herald_server.cli.client_commands.worker:worker",
            "Show a worker, what it did at a time, or order it something.",
        ),
        "queue": (
            "herald_server.cli.client_commands.queue:queue",
            "Pause a queue, or let it go on.",
        ),
        "token": (
            "herald_server.cli.server_commands.token:token",
            "Create a token that is limited to some tasks and expires.",
        ),
    },
}
"""Section → command → where it is, and its line in `herald --help`."""

COMMAND_PATHS = {
    name: entry for part in COMMANDS.values() for name, entry in part.items()
}

EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports commands on demand and prints their errors as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMAND_PATHS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMAND_PATHS:
            return None
        place, line = COMMAND_PATHS[cmd_name]
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        command.short_help = line
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        for title, part in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in part.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            raise  # whoever read our output has seen enough; click knows
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            _fail(error)


def _unwrap_group(error: Exception) -> Exception:
    """Return the error inside a group of one."""
    inner: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return _unwrap_group(inner[0]) if len(inner) == 1 else error


def _fail(error: Exception) -> NoReturn:
    from herald_server.cli.formatting import clean_text

    error = _unwrap_group(error)
    missing = explain_missing(error)
    if missing is not None:
        raise click.ClickException(missing) from error
    if isinstance(error, HeraldError):
        # It may contain text that another user chose.
        raise click.ClickException(clean_text(str(error))) from error
    raise click.ClickException(
        f"unexpectedly, {type(error).__name__}: {clean_text(str(error))}; "
        "`herald --debug COMMAND` shows where"
    ) from error


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "HERALD",
    },
)
@click.version_option(package_name="celery-herald", prog_name="herald")
@click.option("--debug", is_flag=True, show_envvar=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Know what your Celery tasks are doing, the moment it changes."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> None:
    """Run the command line."""
    cli(prog_name="herald")
