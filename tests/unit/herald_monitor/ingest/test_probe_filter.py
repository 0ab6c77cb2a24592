"""Names of workers that a receiver remembers: bounded, whatever producers invent."""

from herald_monitor.ingest.probe_filter import KnownWorkers


def test_a_worker_is_greeted_once() -> None:
    greeted = KnownWorkers(3)
    assert [greeted.add(name) for name in ("a", "b", "a")] == [True, True, False]


def test_no_more_names_are_remembered_than_may_be() -> None:
    greeted = KnownWorkers(3)
    assert all(greeted.add(f"w{n}") for n in range(1_000))
    assert len(greeted) <= 3


def test_a_new_connection_greets_all_again() -> None:
    greeted = KnownWorkers(3)
    greeted.add("a")
    greeted.clear()
    assert greeted.add("a")
