"""`herald workers --dismiss`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.herald.command_line import objects, runner_at, sentence
from tests.support.herald.memory_server import (
    LiveServer,
    gone_worker,
    live_server,
    worker_of,
)


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with live_server() as live:
        yield live


def test_a_worker_that_is_gone_is_dismissed(server: LiveServer) -> None:
    run = runner_at(server.url)
    server.hear_of(gone_worker("celery@left"))
    done = run("workers", "--dismiss", "celery@left")
    assert (done.exit_code, done.stdout.count("is forgotten")) == (0, 1)
    assert "celery@left" not in run("workers").stdout
    again = sentence(run("workers", "--dismiss", "celery@left"))
    assert "no worker 'celery@left' is known" in again


def test_a_worker_that_lives_is_not_dismissed(server: LiveServer) -> None:
    run = runner_at(server.url)
    server.hear_of(worker_of("celery@stays"))
    said = sentence(run("workers", "--dismiss", "celery@stays", "--json"))
    assert "worker celery@stays is online" in said
    assert "celery@stays" in run("workers").stdout


@pytest.mark.parametrize("name", ["a/slash@b c", "ä%2F@h", "w@h/", "..", "a?b#c@h"])
def test_any_name_can_be_given(server: LiveServer, name: str) -> None:
    server.hear_of(gone_worker(name))
    [told] = objects(runner_at(server.url)("workers", "--dismiss", name, "--json"))
    assert (told["hostname"], told["state"]) == (name, "silent")
