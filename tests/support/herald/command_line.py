"""Running `herald` as people do, for tests of its commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from herald_server.cli.main import cli
from tests.support.herald.memory_server import TOKEN, LiveServer

Run = Callable[..., Result]


def environment(url: str, **more: str) -> dict[str, str]:
    """Variables under which `herald` finds a server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    return {**kept, "HERALD_URL": url, "HERALD_TOKEN": TOKEN, **more}


def runner_at(url: str) -> Run:
    """Return `run(*words, **environment)`, which runs `herald` in this process."""

    def run(*words: str, **more: str) -> Result:
        runner = CliRunner(env=environment(url, **more))
        result = runner.invoke(cli, words)
        assert "Traceback" not in result.output, result.output
        return result

    return run


def start(server: LiveServer, *words: str) -> "subprocess.Popen[str]":
    """Run `herald` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "herald_server", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(server.url),
    )


def objects(result: Result) -> list[dict[str, Any]]:
    """The JSON lines that were printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def sentence(result: Result) -> str:
    """The one line on stderr of a command that failed."""
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    # No monitor writes to the test's store, which is said beside.
    (line,) = [line for line in lines if "this may be outdated" not in line]
    return line
