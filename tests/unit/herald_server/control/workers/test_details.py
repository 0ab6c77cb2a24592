"""What is read from a worker's answers; what it does not say is left out."""

from herald_server.control.workers.consumers import (
    find_consumers,
    list_answered,
    make_arguments,
)
from herald_server.control.workers.details import read_details

REQUEST = {
    "id": "t1",
    "name": "mail.send",
    "args": ["secret"],
    "kwargs": {"password": "x"},
    "time_start": 1_800_000_000.0,
    "worker_pid": 9,
}


def test_tasks_are_shown_without_their_arguments() -> None:
    scheduled = {"eta": "2027-01-15T09:00:00", "request": REQUEST}
    found = read_details({"active": [[REQUEST]], "scheduled": [[scheduled]]})
    assert found["active_tasks"] == {
        "total": 1,
        "tasks": [
            {
                "id": "t1",
                "name": "mail.send",
                "started_at": "2027-01-15T08:00:00.000Z",
                "pid": 9,
            }
        ],
    }
    assert found["scheduled_tasks"]["tasks"][0]["eta"] == "2027-01-15T09:00:00"
    assert "secret" not in repr(found)


def test_only_settings_without_secrets_are_shown() -> None:
    conf = {"worker_prefetch_multiplier": 4, "broker_url": "redis://:x@h", "mine": 1}
    found = read_details({"conf": [conf]})
    assert found == {"settings": {"worker_prefetch_multiplier": 4}}


def test_stats_are_read_as_far_as_they_have_the_known_shape() -> None:
    stats = {
        "pid": 7,
        "uptime": 61,
        "prefetch_count": 8,
        "pool": {"max-concurrency": 2, "processes": [8, 9], "put-guarded": True},
        "rusage": {"maxrss": 50_000, "utime": "x"},
        "total": {"mail.send": 3},
        "broker": {"password": "x"},
    }
    assert read_details({"stats": [stats]}) == {
        "pid": 7,
        "uptime_seconds": 61.0,
        "prefetch": 8,
        "pool": {"max_concurrency": 2, "processes": [8, 9]},
        "rusage": {"maxrss": 50_000},
        "totals": {"mail.send": 3},
    }
    assert read_details({"stats": ["odd"]}) == {}


def test_registered_tasks_have_their_limits() -> None:
    found = read_details({"registered": [["a", "b [rate_limit=9/m time_limit=5]", 7]]})
    assert found["registered"] == [
        {"name": "a"},
        {"name": "b", "rate_limit": "9/m", "time_limit": "5"},
    ]


def test_a_consumer_is_restored_as_it_was_bound() -> None:
    described = {
        "name": "q",
        "exchange": {"name": "x", "type": "topic"},
        "routing_key": "a.#",
    }
    found = find_consumers("q", {"w": [[described]], "v": [[{"name": "r"}]]}, ())
    assert list(found) == ["w"]
    assert make_arguments("q", found["w"]) == {
        "queue": "q",
        "exchange": "x",
        "exchange_type": "topic",
        "routing_key": "a.#",
    }


def test_an_error_is_no_answer_about_queues() -> None:
    answers: dict[str, list[object]] = {"a": [[]], "b": [{"error": "x"}], "c": []}
    assert list_answered(answers) == {"a"}
