"""The client half of the command line: the group, and what goes wrong."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from herald_server.cli.main import COMMANDS, cli
from tests.support.celery.project import environment as project
from tests.support.celery.worker import AppFactory
from tests.support.herald.command_line import Run, environment, runner_at, sentence
from tests.support.herald.memory_server import LiveServer, live_server

CLIENT_COMMANDS = [*COMMANDS["Look"], *COMMANDS["Act"]]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server; tests take ids and names of their own."""
    with live_server() as server:
        yield server


@pytest.fixture
def run(server: LiveServer) -> Run:
    """`run(*words)` runs `herald` against the server."""
    return runner_at(server.url)


# -- the group -------------------------------------------------------------------


def test_help_comes_quickly_and_names_every_command() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.monotonic() - began
    print(f"herald --help took {took:.3f} s")
    assert took < 30
    named = re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE)
    assert named == [name for part in COMMANDS.values() for name in part]


def test_help_imports_nothing_heavy() -> None:
    look = (
        "import sys; from herald_server.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'celery', 'fastmcp', 'pydantic', 'redis', 'starlette', 'websockets'}"
        "\nsys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() "
        "else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_client_imports_nothing_of_celery() -> None:
    look = (
        "import sys, herald_client\n"
        "heavy = {'celery', 'kombu', 'fastmcp', 'pydantic', 'redis', 'starlette'}\n"
        "sys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() "
        "else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CLIENT_COMMANDS)
def test_every_command_shows_where_its_server_is_set(run: Run, name: str) -> None:
    words = (name, "list") if name == "alert" else (name,)
    shown = " ".join(run(*words, "--help").stdout.split())
    assert "env var: HERALD_URL; default: http://127.0.0.1:8787/" in shown
    assert "env var: HERALD_TOKEN" in shown


@pytest.mark.parametrize("name", [n for part in COMMANDS.values() for n in part])
def test_every_command_is_where_the_table_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_version_is_told(run: Run) -> None:
    assert re.fullmatch(r"herald, version \d+\.\d+\.\d+.*\n", run("--version").stdout)


@pytest.mark.parametrize(
    "words",
    [
        ("wathc",),
        ("wait",),
        ("wait", "x", "--timeout", "0"),
        ("wait", "x", "--timeout", "soon"),
        ("watch", "--state", "DONE"),
        ("tasks", "--limit", "0"),
        ("start", "t", "novalue"),
        ("start", "t", "a=1", "a=2"),
        ("start", "t", "--timeout", "3"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Error:" in result.stderr
    assert not result.stdout


# -- what goes wrong ---------------------------------------------------------------


COMMANDS_IN_USE = [
    ("watch",),
    ("wait", "x"),
    ("tasks",),
    ("workers",),
    ("status", "x"),
    ("start", "t"),
    ("cancel", "x"),
]


@pytest.mark.parametrize("words", COMMANDS_IN_USE)
def test_wrong_token_is_one_sentence(run: Run, words: tuple[str, ...]) -> None:
    said = sentence(run(*words, HERALD_TOKEN="wrong"))
    assert "does not know this token" in said
    assert "HERALD_TOKEN" in said


@pytest.mark.parametrize("words", COMMANDS_IN_USE)
def test_server_that_is_down_is_one_sentence(words: tuple[str, ...]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        said = sentence(runner_at(url)(*words))
    assert said.startswith(f"Error: no Herald answers at {url} (connection refused)")


def test_url_that_is_none_is_one_sentence(run: Run) -> None:
    assert "is no URL of a Herald" in sentence(run("tasks", "--url", "localhost:1"))


def test_debug_shows_where_it_went_wrong(server: LiveServer) -> None:
    env = environment(server.url, HERALD_TOKEN="wrong")
    result = CliRunner(env=env).invoke(cli, ["--debug", "tasks"])
    assert type(result.exception).__name__ == "AccessRefused"


def test_sentence_of_the_server_is_passed_on(run: Run) -> None:
    said = sentence(run("tasks", "--after", "yesterday"))
    assert "after must be an RFC 3339 time" in said


# -- celery's own command line -------------------------------------------------------


def celery(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `celery` with words."""
    return subprocess.run(
        [sys.executable, "-m", "celery", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
    )


def test_celery_knows_the_command_without_loading_it() -> None:
    done = celery("--help")
    assert re.search(r"^  herald +Monitor and server of Herald", done.stdout, re.M)


def test_celery_command_has_the_options_of_up(project_app: AppFactory) -> None:
    env = project(project_app("memory://"))
    done = celery("-A", "tests.support.celery.project", "herald", "--help", **env)
    assert done.returncode == 0, done.stderr
    assert "--store" in done.stdout
    assert "--port" in done.stdout
    assert "--broker" not in done.stdout
