"""`herald schedules`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.herald.command_line import objects, runner_at, sentence
from tests.support.herald.memory_server import LiveServer, live_server
from tests.support.schedules.stored import make_spec, store_schedule


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with live_server() as live:
        yield live


def test_schedules_are_listed_with_what_is_wrong(server: LiveServer) -> None:
    run = runner_at(server.url)
    assert "no schedule is known" in run("schedules").stderr
    server.do(store_schedule(server.store, make_spec("nightly"), missed=1))
    said = run("schedules").stdout
    assert "nightly" in said
    assert "no worker received a run" in said
    [told] = objects(run("schedules", "--json"))
    assert (told["name"], told["state"]) == ("nightly", "missed")


def test_a_schedule_is_muted(server: LiveServer) -> None:
    run = runner_at(server.url)
    server.do(store_schedule(server.store, make_spec("nightly"), missed=1))
    assert "no alerts" in run("schedules", "--mute", "nightly").stdout
    assert "missed (muted)" in run("schedules").stdout
    assert "no schedule 'x' is known" in sentence(run("schedules", "--unmute", "x"))
    both = run("schedules", "--mute", "x", "--run", "x")
    assert both.exit_code == 2
