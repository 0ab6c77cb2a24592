"""Long work on a thread leaves the interpreter to others most of the time."""

import threading
import time

import pytest

from herald_core.system.background_thread import run_with_rests


def count(number: int) -> int:
    return sum(one_more(n) for n in range(number))


def one_more(_: int) -> int:
    return 1


def test_it_returns_what_the_work_returns() -> None:
    assert run_with_rests(lambda: count(10)) == 10


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        run_with_rests(lambda: 1 // 0)


def test_it_rests_for_longer_than_it_works() -> None:
    spent: list[float] = []

    def work() -> None:
        begun, used = time.perf_counter(), time.thread_time()
        run_with_rests(lambda: count(100_000))
        spent.append(time.perf_counter() - begun)
        spent.append(time.thread_time() - used)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    took, used = spent
    assert took > 1.5 * used
