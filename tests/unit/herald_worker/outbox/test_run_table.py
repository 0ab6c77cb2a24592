"""The runs that the processes of a pool note, as their worker reads them."""

from herald_worker.outbox.run_table import (
    MAX_CHILDREN,
    MAX_ID_BYTES,
    RUN_BYTES,
    RUNS_A_CHILD,
    Run,
    RunTable,
)


def test_runs_of_all_children_are_read() -> None:
    table = RunTable()
    assert list(table.iter_runs()) == []
    going = Run("a", 0, 1.5)
    ended = Run("b", 2, 2.5, 3.5, "FAILURE", "ValueError('ä')")
    table.write(0, 0, going)
    table.write(MAX_CHILDREN - 1, 0, ended)
    assert list(table.iter_runs()) == [going, ended]
    table.write(0, 0, going._replace(ended_at=2.0, state="SUCCESS"))
    assert [run.ended_at for run in table.iter_runs()] == [2.0, 3.5]


def test_the_latest_runs_of_a_child_stay() -> None:
    table = RunTable()
    for number in range(RUNS_A_CHILD + 3):
        table.write(1, number, Run(str(number), 0, float(number)))
    found = {int(run.task_id) for run in table.iter_runs()}
    assert found == set(range(3, RUNS_A_CHILD + 3))


def test_what_is_too_long_is_cut_and_harms_no_neighbour() -> None:
    table = RunTable()
    table.write(0, 0, Run("i" * 1_000, 0, 1.0, 2.0, "FAILURE", "t" * 10_000))
    table.write(0, 1, Run("next", 0, 1.0))
    first, second = table.iter_runs()
    assert first.task_id == "i" * MAX_ID_BYTES
    assert first.text == "t" * len(first.text)
    assert 100 < len(first.text) < RUN_BYTES
    assert second.task_id == "next"
