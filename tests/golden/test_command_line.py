"""Every command: arguments, options, defaults, help and exit codes."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.golden.comparison import compare
from tests.golden.product import cli
from tests.support.environment import ROOT
from tests.support.herald.command_line import environment
from tests.support.herald.memory_server import LiveServer, live_server

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENDED = {"good": "succeeded", "bad": "failed", "gone": "revoked", "runs": "started"}


def load(place: str) -> Any:
    """Return what an entry point names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def commands() -> dict[str, click.Command]:
    """Return every command by what one types, that of Celery among them."""
    context = click.Context(cli)
    found: dict[str, click.Command] = {"herald": cli}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found[f"herald {name}"] = command
    plugin = load(PROJECT["project"]["entry-points"]["celery.commands"]["herald"])
    return {**found, "celery -A PROJECT herald": plugin}


def test_entry_points() -> None:
    """Their names; where they lead may change, but must be there."""
    project = PROJECT["project"]
    groups: dict[str, dict[str, str]] = {
        "console_scripts": project["scripts"],
        **project["entry-points"],
    }
    for places in groups.values():
        assert all(callable(load(place)) for place in places.values())
    named = {group: sorted(places) for group, places in groups.items()}
    compare("entry-points.json", {"distribution": project["name"], **named})


def test_arguments_and_options() -> None:
    context = click.Context(cli)
    told = {
        name: {
            one.name or "": _about(one)
            # Celery's command has its options only once they are asked for.
            for one in command.params or command.get_params(context)
            if "--help" not in one.opts
        }
        for name, command in commands().items()
    }
    compare("command-line.json", told)


def _about(one: click.Parameter) -> dict[str, Any]:
    """Return what is not as it mostly is: one text, that may be left out."""
    info = one.to_info_dict()
    names = " ".join([*one.opts, *one.secondary_opts])
    about: dict[str, Any] = {info["param_type_name"]: names}
    for key in ("required", "multiple", "envvar", "hidden", "is_flag"):
        if info.get(key):
            about[key] = info[key]
    if info["nargs"] != 1:
        about["nargs"] = info["nargs"]
    kind = {k: v for k, v in info["type"].items() if k not in ("name", "param_type")}
    about["type"] = {info["type"]["param_type"]: {k: v for k, v in kind.items() if v}}
    if info.get("default") is not None:
        about["default"] = str(info["default"])
    return about


def test_help() -> None:
    runner = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"})
    parts: list[str] = []
    for name, command in commands().items():
        group, _, inner = name.partition(" ")
        own = command is cli or group != "herald"
        words = ["--help"] if own else [inner, "--help"]
        told = runner.invoke(
            command if own else cli, words, prog_name=name if own else group
        )
        assert told.exit_code == 0
        parts += [f"$ {name} --help", told.output]
    compare("help.txt", "\n".join(parts))


# -- exit codes ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server that knows of a task for each way to end."""
    with live_server() as server:
        for id_, kind in ENDED.items():
            server.tell("received", id_, name="n")
            server.tell(kind, id_)
        yield server


RUNS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("--help",),
    ("unknown",),
    ("tasks",),
    ("tasks", "--limit", "0"),
    ("tasks", "--state", "DONE"),
    ("workers",),
    ("queues",),
    ("status", "good"),
    ("status", "unknown"),
    ("wait", "good"),
    ("wait", "bad"),
    ("wait", "gone"),
    ("wait", "runs", "--timeout", "0.1"),
    ("start", "nope"),
    ("cancel", "unknown"),
    ("watch", "--state", "DONE"),
    ("token", "--task", "good", "--read", "--json"),
    ("token", "--ttl", "x"),
    ("replay", "none.jsonl", "--print"),
    ("replay", "none.jsonl"),
    ("catalog",),
    ("server", "--port", "70000"),
)


def run(url: str, *words: str) -> Result:
    """Run `herald` in this process."""
    return CliRunner(env=environment(url)).invoke(cli, words)


def test_exit_codes(server: LiveServer) -> None:
    told = {" ".join(words): run(server.url, *words).exit_code for words in RUNS}
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{held.getsockname()[1]}/"
        told["tasks, without a server"] = run(away, "tasks").exit_code
        wrong = CliRunner(env=environment(server.url, HERALD_TOKEN="a-wrong-token"))
        told["tasks, with a wrong token"] = wrong.invoke(cli, ["tasks"]).exit_code
    compare("exit-codes.json", told)
