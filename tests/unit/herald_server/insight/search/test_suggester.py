"""The values of tasks that are suggested."""

from herald_core.model.tasks.views import TaskView
from herald_server.insight.search.suggester import collect_values

DECLARED = [("orders.*", "kwargs.order_id"), ("payroll.*", "kwargs.person")]


def make_task(number: int, name: str, *tags: str) -> TaskView:
    return TaskView(
        id=f"{number}", state="SUCCESS", name=name, queue="celery", tags=tags
    )


def test_values_of_tasks_are_those_seen_last_first() -> None:
    tasks = [
        make_task(2, "orders.refund", "kwargs.order_id:7", "vip"),
        make_task(1, "orders.charge", "kwargs.order_id:6", "old", "vip"),
    ]
    known = collect_values(tasks, DECLARED)
    assert known.names == ("orders.refund", "orders.charge")
    assert known.queues == ("celery",)
    assert known.workers == ()
    assert known.tags == ("vip", "old")


def test_a_declared_key_counts_for_the_names_that_are_seen() -> None:
    known = collect_values([make_task(1, "orders.charge")], DECLARED)
    assert known.paths == ("kwargs.order_id",)
    assert collect_values([], DECLARED).paths == ()
