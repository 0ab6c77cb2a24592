"""The commands that read once and the ones that give orders, against a real server."""

import time
from collections.abc import Iterator

import pytest

from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from tests.support.celery.worker import AppFactory
from tests.support.herald.command_line import Run, objects, runner_at, sentence
from tests.support.herald.memory_server import LiveServer, live_server, worker_of
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server; tests take ids and names of their own."""
    with live_server() as server:
        yield server


@pytest.fixture
def run(server: LiveServer) -> Run:
    """`run(*words)` runs `herald` against the server."""
    return runner_at(server.url)


# -- tables --------------------------------------------------------------------------


def test_tasks_are_a_table_or_json(server: LiveServer, run: Run) -> None:
    for n in range(3):
        server.tell("received", f"tab{n}", name="tabled")
    table = run("tasks", "--name", "tabled", "--limit", "2")
    lines = table.stdout.splitlines()
    assert lines[0].split() == ["CHANGED", "STATE", "NAME", "ID", "WORKER", "RUNTIME"]
    assert [line.split()[2:5] for line in lines[1:]] == [
        ["RECEIVED", "tabled", "tab2"],
        ["RECEIVED", "tabled", "tab1"],
    ]
    assert "there are more" in table.stderr
    found = objects(run("tasks", "--name", "tabled", "--json"))
    assert [task["id"] for task in found] == ["tab2", "tab1", "tab0"]


def test_no_task_is_said(run: Run) -> None:
    result = run("tasks", "--name", "nobody.*")
    assert result.exit_code == 0
    assert "no task matches" in result.stderr


def test_workers_are_listed(server: LiveServer, run: Run) -> None:
    server.hear_of(worker_of("celery@listed", active=2, processed=40))
    row = next(r for r in run("workers").stdout.splitlines() if "listed" in r)
    assert row.split()[:4] == ["celery@listed", "online", "2", "40"]
    assert any(w["id"] == "celery@listed" for w in objects(run("workers", "--json")))


def test_status_shows_all_and_the_attempts(server: LiveServer, run: Run) -> None:
    server.tell("received", "st", name="shown", kwargs="{'a': 1}", retries=0)
    server.tell("started", "st")
    server.tell("failed", "st", exception="E('x')", traceback="Tr:\n  line\nE: x")
    shown = run("status", "st").stdout
    assert shown.startswith("FAILURE  shown\n")
    assert "kwargs    {'a': 1}" in shown
    assert "exception E('x')" in shown
    assert "ATTEMPT" in shown
    assert shown.endswith("\nTr:\n  line\nE: x\n")
    assert objects(run("status", "st", "--json"))[0]["attempts"]


def test_status_of_an_unheard_task_exits_with_1(run: Run) -> None:
    assert "nothing was ever heard of the task nix" in sentence(run("status", "nix"))


def test_why_says_what_holds_a_task(server: LiveServer, run: Run) -> None:
    server.tell("sent", "held", name="waiting", queue="nobodys")
    told = run("why", "held")
    assert told.exit_code == 0
    assert told.stdout.strip()
    assert objects(run("why", "held", "--json"))[0]["reason"]
    assert run("why", "nix").exit_code == 1


def test_types_are_listed_with_their_figures(server: LiveServer, run: Run) -> None:
    server.tell("received", "ty", name="typed.one")
    server.tell("started", "ty")
    server.tell("failed", "ty", exception="E('x')", runtime=2.0)

    def find_figures() -> list[list[str]]:
        rows = [line.split() for line in run("types").stdout.splitlines()]
        return [row[1:3] for row in rows if row and row[0] == "typed.one"]

    # The figures may have been read before the last of the events.
    wait_until(find_figures, accept=lambda found: found == [["1", "1"]])
    assert any(one["name"] == "typed.one" for one in objects(run("types", "--json")))


def test_groups_are_listed_and_shown(server: LiveServer, run: Run) -> None:
    server.tell("received", "g1", name="grouped", group_id="grp")
    row = next(r for r in run("groups").stdout.splitlines() if "grp" in r)
    assert "0/1+" in row
    assert "RECEIVED:1" in row
    shown = run("groups", "grp")
    assert shown.stdout.splitlines()[-1].split() == ["RECEIVED", "grouped", "g1"]
    assert objects(run("groups", "--json"))[0]["group_id"]
    assert "nothing is known of a group" in sentence(run("groups", "nix"))


# -- orders --------------------------------------------------------------------------


@pytest.fixture
def orders(project_app: AppFactory, valkey: PrivateValkey) -> Iterator[LiveServer]:
    """A server that may send to a broker; no worker listens there."""
    with live_server(project_app(valkey.url)) as server:
        yield server


def test_start_prints_the_id_and_cancel_what_came_of_it(orders: LiveServer) -> None:
    run = runner_at(orders.url)
    started = run("start", "metrics_cleanup", "retention_days=30")
    task_id = started.stdout.strip()
    assert started.exit_code == 0
    task = objects(run("status", task_id, "--json"))[0]
    assert task["state"] == "PENDING"
    assert "'retention_days': 30" in task["kwargs"]
    orders.tell("succeeded", task_id, result="1")
    late = run("cancel", task_id)
    assert late.exit_code == 1
    assert late.stdout.startswith("Too late")


def test_start_can_wait(orders: LiveServer) -> None:
    run = runner_at(orders.url)
    result = run("start", "metrics_snapshot", "--wait", "--timeout", "0.3")
    assert result.exit_code == 3
    assert "is still PENDING" in result.stderr


def test_start_says_which_parameter_is_wrong(orders: LiveServer) -> None:
    said = sentence(runner_at(orders.url)("start", "metrics_cleanup", "retention=1"))
    assert "retention" in said


def test_queues_are_listed_with_the_worst_first(server: LiveServer, run: Run) -> None:
    now = time.time()
    at = to_rfc3339(now)
    told = [
        QueueView(id="calm", name="calm", depth=3, consumers=("w@h",), as_of=at),
        QueueView(id="stray", name="stray", depth=1, consumers=(), as_of=at),
    ]
    server.do(server.store.store_queues(told, now=now))
    lines = [line.split() for line in run("queues").stdout.splitlines()[1:]]
    assert lines == [["stray", "1", "?", "?", "nobody"], ["calm", "3", "?", "?", "w@h"]]
    assert [q["depth"] for q in objects(run("queues", "--json"))] == [3, 1]
