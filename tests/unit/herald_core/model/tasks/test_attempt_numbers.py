"""Which numbers list_attempts have after marks of their task were removed."""

import msgspec

from herald_core.model.tasks.attempts import find_deliveries
from herald_core.model.tasks.past_deliveries import PastDeliveries, make_delivery_key
from herald_core.model.tasks.projection import list_attempts
from tests.support.model.events import known, story


def test_a_run_keeps_the_number_that_is_remembered_of_it() -> None:
    task = known(story("received started"))
    [run] = find_deliveries(task.marks)
    past = PastDeliveries(numbers={make_delivery_key(run): 7})
    [attempt] = list_attempts(msgspec.structs.replace(task, past=past))
    assert attempt.attempt == 7


def test_an_attempt_that_was_told_is_told_again() -> None:
    task = known(story("received started"))
    [attempt] = list_attempts(
        msgspec.structs.replace(task, past=PastDeliveries(public_attempt=5))
    )
    assert attempt.attempt == 5
