"""Workers that report another version make one mark for each roll-out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from herald_core.model.marks.mark import RELEASE, SOFTWARE, Mark
from herald_core.model.marks.version_changes import (
    KnownVersions,
    RunningVersion,
    find_changes,
    fold_changes,
    update_known,
)
from herald_core.model.tasks.views import to_rfc3339

T0 = 1_700_000_000.0


class Fleet:
    """Workers that are looked at again and again, and the marks that result."""

    def __init__(self, kind: str = RELEASE) -> None:
        self._kind = kind
        self._known = KnownVersions()
        self._marks: dict[str, Mark] = {}

    def look(self, at: float, versions: Mapping[str, str]) -> None:
        """Look at workers that started at `at` if their version is a new one."""
        began = to_rfc3339(T0 + at)
        running = [RunningVersion(host, v, began) for host, v in versions.items()]
        changes = find_changes(self._known, running, T0 + at)
        for mark in fold_changes(self._marks.values(), changes, self._kind):
            self._marks[mark.id] = mark
        self._known = update_known(self._known, running, versions)

    @property
    def marks(self) -> list[str]:
        """The sentences of the marks, oldest first."""
        return [m.what for m in sorted(self._marks.values(), key=lambda m: m.at)]

    def __iter__(self) -> Iterator[Mark]:
        return iter(self._marks.values())


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_the_first_version_is_no_change(fleet: Fleet) -> None:
    fleet.look(0, {"w1": "a", "w2": "a"})
    fleet.look(5, {"w1": "a", "w2": "a", "w3": "a"})
    assert fleet.marks == []


def test_a_rolling_deploy_of_named_workers_is_one_mark(fleet: Fleet) -> None:
    fleet.look(0, {"w1": "a", "w2": "a", "w3": "a"})
    fleet.look(10, {"w1": "b", "w2": "a", "w3": "a"})
    fleet.look(20, {"w1": "b", "w2": "b", "w3": "a"})
    fleet.look(900, {"w1": "b", "w2": "b", "w3": "b"})
    [mark] = fleet
    assert mark.what == "release a → b on 3 workers"
    assert (mark.before, mark.version, mark.workers) == ("a", "b", 3)
    assert (mark.at, mark.until) == (to_rfc3339(T0 + 10), to_rfc3339(T0 + 900))


def test_workers_that_all_start_anew_are_one_mark(fleet: Fleet) -> None:
    fleet.look(0, {"w1": "a", "w2": "a"})
    fleet.look(10, {})
    fleet.look(20, {"w1": "b", "w2": "b"})
    assert fleet.marks == ["release a → b on 2 workers"]


def test_a_restart_with_the_same_version_is_no_change(fleet: Fleet) -> None:
    fleet.look(0, {"w1": "a"})
    fleet.look(10, {})
    fleet.look(20, {"w1": "a"})
    fleet.look(30, {"pod-77": "a"})
    assert fleet.marks == []


def test_workers_whose_names_are_new_each_time_are_one_mark(fleet: Fleet) -> None:
    fleet.look(0, {"pod-1": "a", "pod-2": "a"})
    fleet.look(10, {"pod-1": "a", "pod-2": "a", "pod-3": "b"})
    fleet.look(20, {"pod-2": "a", "pod-3": "b", "pod-4": "b"})
    fleet.look(30, {"pod-3": "b", "pod-4": "b"})
    fleet.look(40, {"pod-3": "b", "pod-4": "b", "pod-5": "b"})
    assert fleet.marks == ["release a → b on 2 workers"]


def test_a_rollback_is_a_mark_and_so_is_the_next_try(fleet: Fleet) -> None:
    for at, version in enumerate("abab"):
        fleet.look(60 * at, {"w1": version, "w2": version})
    assert fleet.marks == [
        "release a → b on 2 workers",
        "release b → a on 2 workers",
        "release a → b on 2 workers",
    ]


def test_two_projects_that_roll_out_at_a_time_are_two_marks(fleet: Fleet) -> None:
    fleet.look(0, {"shop1": "a1", "shop2": "a1", "mail1": "b1", "mail2": "b1"})
    fleet.look(10, {"shop1": "a2", "shop2": "a1", "mail1": "b2", "mail2": "b1"})
    fleet.look(20, {"shop1": "a2", "shop2": "a2", "mail1": "b2", "mail2": "b2"})
    assert sorted(fleet.marks) == [
        "release a1 → a2 on 2 workers",
        "release b1 → b2 on 2 workers",
    ]


def test_of_several_versions_it_is_not_known_which_one_a_new_name_replaces(
    fleet: Fleet,
) -> None:
    fleet.look(0, {"pod-1": "a", "pod-2": "b"})
    fleet.look(10, {"pod-1": "a", "pod-2": "b", "pod-3": "c"})
    fleet.look(20, {"pod-1": "c", "pod-2": "b", "pod-3": "c"})
    assert fleet.marks == ["release c on 2 workers"]


def test_another_worker_of_a_version_that_runs_already_is_no_change(
    fleet: Fleet,
) -> None:
    fleet.look(0, {"shop-1": "a", "mail-1": "b"})
    fleet.look(10, {"shop-1": "a", "mail-1": "b", "mail-2": "b"})
    assert fleet.marks == []


def test_half_an_hour_without_another_worker_ends_a_roll_out(fleet: Fleet) -> None:
    fleet.look(0, {"w1": "a", "w2": "a"})
    fleet.look(10, {"w1": "b", "w2": "a"})
    fleet.look(3_600, {"w1": "b", "w2": "b"})
    assert fleet.marks == ["release a → b on 1 worker"] * 2


def test_a_new_version_of_celery_is_named_as_such() -> None:
    fleet = Fleet(SOFTWARE)
    fleet.look(0, {"w1": "py-celery 5.6.3", "w2": "py-celery 5.6.3"})
    fleet.look(9, {"w1": "py-celery 5.7.0", "w2": "py-celery 5.7.0"})
    assert fleet.marks == ["celery 5.6.3 → 5.7.0 on 2 workers"]


def test_another_program_is_named_in_full() -> None:
    fleet = Fleet(SOFTWARE)
    fleet.look(0, {"w1": "py-celery 5.6.3"})
    fleet.look(9, {"w1": "other 1.0"})
    assert fleet.marks == ["py-celery 5.6.3 → other 1.0 on 1 worker"]


def test_a_worker_that_tells_no_start_changed_now() -> None:
    known = KnownVersions({"w1": "a"}, ("a",))
    [change] = find_changes(known, [RunningVersion("w1", "b")], T0)
    assert change.since == T0


def test_two_monitors_that_see_the_same_make_the_same_mark() -> None:
    first, second = Fleet(), Fleet()
    for fleet in (first, second):
        fleet.look(0, {"w1": "a"})
        fleet.look(10, {"w1": "b"})
    assert list(first) == list(second)
