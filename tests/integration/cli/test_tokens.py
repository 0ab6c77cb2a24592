"""`herald token`: made, listed, revoked, signed offline, hashed."""

import hashlib
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from herald_server.cli.main import cli
from tests.support.herald.command_line import Run, objects, runner_at, sentence
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server that knows of two tasks."""
    with live_server() as server:
        server.tell("received", "mine", name="reports.daily")
        server.tell("received", "other", name="payroll.run")
        yield server


@pytest.fixture
def run(server: LiveServer) -> Run:
    """`run(*words)` runs `herald` against the server."""
    return runner_at(server.url)


@pytest.mark.parametrize("how", [(), ("--offline",)])
def test_a_token_for_one_task_shows_that_task(run: Run, how: tuple[str, ...]) -> None:
    made = run("token", "--read", "--task", "mine", "--ttl", "15m", *how)
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert " may read until " in made.stderr
    found = objects(run("tasks", "--json", HERALD_TOKEN=token))
    assert [task["id"] for task in found] == ["mine"]
    assert "narrowed" in sentence(run("workers", HERALD_TOKEN=token))


def test_tokens_are_listed_and_revoked(run: Run) -> None:
    made = objects(run("token", "--name", "reports.*", "--label", "page", "--json"))[0]
    listed = {one["id"]: one for one in objects(run("token", "--list", "--json"))}
    assert listed[made["id"]]["name"] == "owner/page"
    assert "token" not in listed[made["id"]]
    assert run("token", "--revoke", made["id"]).exit_code == 0
    assert made["id"] not in run("token", "--list").stdout
    said = sentence(run("tasks", HERALD_TOKEN=made["token"]))
    assert "the token was revoked" in said


def test_a_wrong_wish_is_said(run: Run) -> None:
    assert "ttl must be" in sentence(run("token", "--ttl", "soon"))
    narrow = run("token").stdout.strip()
    more = run("token", "--admin", HERALD_TOKEN=narrow)
    assert "your own token lacks the scope admin" in sentence(more)


def test_a_hash_is_of_what_was_given() -> None:
    given = CliRunner().invoke(cli, ["token", "--hash"], input=f"{TOKEN}\n")
    assert given.stdout.strip() == _hash(TOKEN)
    made = CliRunner().invoke(cli, ["token", "--hash"], input="")
    assert made.stdout.strip() == _hash(made.stderr.split()[-1])


def _hash(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
