"""The command line: the group `herald`. Commands are imported when they are run."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, NoReturn

import click

from herald_monitor.errors import HeraldError

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run Herald": {
        "demo": (
            "herald_server.commands.demo:demo",
            "Everything on this machine, with real work to look at.",
        ),
        "up": (
            "herald_server.commands.up:up",
            "Monitor and server for your Celery, in one go.",
        ),
        "monitor": (
            "herald_server.commands.monitor:monitor",
            "Only the monitor: hear Celery and keep what it means.",
        ),
        "server": (
            "herald_server.commands.server:server",
            "Only the server: tell people, programs and agents.",
        ),
        "mcp": ("herald_server.commands.mcp:mcp", "Serve an agent over stdio."),
    },
    "Look": {
        "watch": (
            "herald_server.commands.watch:watch",
            "Print tasks as they change.",
        ),
        "wait": (
            "herald_server.commands.wait:wait",
            "Wait for a task; its ending is the exit code.",
        ),
        "tasks": ("herald_server.commands.tasks:tasks", "List tasks."),
        "workers": ("herald_server.commands.workers:workers", "List workers."),
        "queues": (
            "herald_server.commands.queues:queues",
            "List queues: how deep, how old, and who takes from them.",
        ),
        "status": (
            "herald_server.commands.status:status",
            "Show all that is known of a task.",
        ),
    },
    "Find out": {
        "doctor": (
            "herald_server.commands.doctor:doctor",
            "Say what is reachable, and what to change.",
        ),
        "catalog": (
            "herald_server.commands.catalog:catalog",
            "Write a herald.toml from the tasks of an app.",
        ),
        "record": (
            "herald_server.commands.record:record",
            "Write a broker's raw events to a file.",
        ),
        "replay": (
            "herald_server.commands.replay:replay",
            "Tell a recording again, to a store or on standard output.",
        ),
    },
    "Act": {
        "start": ("herald_server.commands.start:start", "Start a task."),
        "cancel": ("herald_server.commands.cancel:cancel", "Cancel a task."),
        "token": (
            "herald_server.commands.token:token",
            "Make a token for some tasks that ends by itself.",
        ),
    },
}
"""Section → command → where it is, and its line in `herald --help`."""

PLACES = {name: entry for part in COMMANDS.values() for name, entry in part.items()}

INTERRUPTED = 130


class Commands(click.Group):
    """The commands of `COMMANDS`, imported late; what they raise, in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PLACES:
            return None
        place, line = PLACES[cmd_name]
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
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            raise  # whoever read our output has seen enough; click knows
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            _say(error)


def _only(error: Exception) -> Exception:
    """Return what a group of one error holds."""
    inner: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return _only(inner[0]) if len(inner) == 1 else error


def _say(error: Exception) -> NoReturn:
    from herald_server.commands.lines import harmless

    error = _only(error)
    if isinstance(error, HeraldError):
        # It may name what somebody else chose, or what was copied from there.
        raise click.ClickException(harmless(str(error))) from error
    raise click.ClickException(
        f"unexpectedly, {type(error).__name__}: {harmless(str(error))}; "
        "`herald --debug COMMAND` shows where"
    ) from error


@click.group(
    cls=Commands,
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
