"""`herald demo`, as a newcomer starts it: what its first screens have to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from herald_server.demo.periodic_tasks import PERIODIC_TASKS
from tests.support.herald.process import HeraldProcess
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeraldProcess]:
    """The demo."""
    herald = HeraldProcess(tmp_path_factory.mktemp("demo") / "log", "demo")
    herald.start()
    yield herald
    herald.stop()


def test_its_periodic_tasks_are_followed(demo: HeraldProcess) -> None:
    def read() -> dict[str, dict[str, Any]]:
        listed = demo.get("api/v1/schedules")["schedules"]
        return {one["name"]: one for one in listed}

    found = wait_until(
        read, 60, accept=lambda found: found.keys() >= PERIODIC_TASKS.keys()
    )
    assert {one["source"] for one in found.values()} == {"app"}
    assert all(one["next_run"] for one in found.values())


def test_nothing_but_what_a_person_needs_is_on_the_terminal(
    demo: HeraldProcess,
) -> None:
    lines = demo.log.read_text().splitlines()
    assert [line for line in lines if " INFO " in line] == []
