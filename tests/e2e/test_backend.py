"""The result backend tells what no event told, with real workers."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from celery import Celery

from herald_core.model.cursor import START
from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.task import merge
from herald_monitor.celery_client.backend.result_backend import (
    BackendUnreachable,
    ResultBackend,
)
from tests.support.celery.messages import send, store_result
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.memory_monitor import Watched, prompt, told, watching
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


@pytest.fixture
def app(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """The project, on one server."""
    return project_app(valkey.url, valkey.url)


@pytest.fixture
def deaf(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """The same project, as heard on an exchange on which nobody says anything."""
    return project_app(valkey.url, valkey.url)


# ---- without any events -----------------------------------------------------


async def test_tasks_without_events_are_known_to_the_end(
    app: Celery, deaf: Celery, celery_worker: WorkerFactory
) -> None:
    async with watching(deaf) as watched:
        worker = await asyncio.to_thread(celery_worker, app, events=False)
        succeeded, failed = send(app, "add", 1, 2), send(app, "fail", "no")
        silent, retried = send(app, "silent", 1, 2), send(app, "retry_twice")
        image = await watched.is_in(succeeded, "SUCCESS")
        assert (image.source, image.result, image.final) == ("backend", "3", True)
        assert (image.name, image.args, image.kwargs) == ("add", "(1, 2)", "{}")
        assert image.worker == worker.hostname
        image = await watched.is_in(failed, "FAILURE")
        assert image.exception == "ValueError('no')"
        assert "Traceback" in (image.traceback or "")
        await watched.is_in(silent, "SUCCESS")
        assert (await watched.is_in(retried, "SUCCESS")).result == "2"
        assert watched.count("task_events") == 0
        assert watched.count("backend_events") >= 4


async def test_progress_and_revocation_without_events(
    app: Celery, deaf: Celery, celery_worker: WorkerFactory
) -> None:
    async with told(deaf) as heard, watching(deaf) as watched:
        await asyncio.to_thread(celery_worker, app, events=False)
        task_id = send(app, "progress", 4)
        image = await watched.is_in(task_id, "SUCCESS")
        assert image.progress is not None
        assert image.progress.percent == 100.0

        def steps() -> list[float | None]:
            return [e.progress.percent for e in heard.events if e.progress]

        # Two connections hear it, and this one may be the later.
        await wait_until_async(lambda: len(steps()) == 4, 30, "each step")
        assert steps() == [25.0, 50.0, 75.0, 100.0]
        waiting = send(app, "sleepy", 30)
        store_result_of_start(app, waiting)
        await watched.is_in(waiting, "STARTED")
        cast(Any, app).control.revoke(waiting, terminate=True)
        image = await watched.is_in(waiting, "REVOKED")
        assert image.exception == "TaskRevokedError('terminated')"


def store_result_of_start(app: Celery, task_id: str) -> None:
    """Store what `update_state` of a task at work stores."""
    meta = {"percent": 10}
    cast(Any, app).backend.store_result(task_id, meta, "PROGRESS")


async def test_progress_means_that_the_task_runs(app: Celery) -> None:
    async with watching(app) as watched:
        task_id = store_result(app, {"current": 1, "total": 2}, "PROGRESS")
        image = await watched.is_in(task_id, "STARTED")
        assert image.progress is not None
        assert (image.progress.percent, image.source) == (50.0, "backend")


async def test_a_result_that_nobody_keeps_is_not_told(
    app: Celery, deaf: Celery, celery_worker: WorkerFactory
) -> None:
    async with told(deaf) as heard:
        await asyncio.to_thread(celery_worker, app, events=False, pool="solo")
        ignored, kept = send(app, "ignore_result", 1, 2), send(app, "add", 1, 2)
        await wait_until_async(lambda: heard.kinds(kept), 30, "the task behind it")
        assert heard.kinds(ignored) == []


async def test_a_silent_task_beside_tasks_with_events(
    app: Celery, celery_worker: WorkerFactory
) -> None:
    """`task-sent` is the only event of a task with `send_events=False`."""
    async with watching(app) as watched:
        await asyncio.to_thread(celery_worker, app)
        began = time.monotonic()
        task_id = send(app, "silent", 1, 2)
        image = await watched.is_in(task_id, "SUCCESS")
        assert time.monotonic() - began < 8
        assert (image.source, image.result) == ("backend", "3")


# ---- beside events ----------------------------------------------------------


async def changes_of(watched: Watched, task_id: str) -> list[str]:
    """Return the states of all changes of a task, in order."""
    entries = await watched.store.read_entries(START, limit=10_000)
    changes = [c for e in entries for c in e.changes if c.id == task_id]
    return [change.task.state for change in changes if change.task]


@pytest.mark.parametrize("kind", ["add", "fail"])
async def test_an_end_that_is_told_twice_is_one_end(
    kind: str, app: Celery, celery_worker: WorkerFactory
) -> None:
    async with watching(app) as watched:
        await asyncio.to_thread(celery_worker, app)
        args = (1, 2) if kind == "add" else ("no",)
        ids = [send(app, kind, *args) for _ in range(20)]
        for task_id in ids:
            image = await watched.becomes(task_id, lambda i: i.runtime is not None)
            assert (image.source, image.conflict) == ("event", False)
        await wait_until_async(
            lambda: watched.count("backend_events") >= 20, 30, "results"
        )
        told = [await changes_of(watched, task_id) for task_id in ids]
        over = [[s in ("SUCCESS", "FAILURE") for s in states] for states in told]
        # Words that overtake each other add facts, but never take the end back.
        assert over == [sorted(states) for states in over]


@pytest.mark.rabbitmq
async def test_rabbitmq_with_results_in_redis(
    amqp_url: str,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
) -> None:
    app = project_app(amqp_url, valkey.url)
    async with watching(app) as watched:
        await asyncio.to_thread(celery_worker, app, pool="threads")
        silent, retried = send(app, "silent", 1, 2), send(app, "retry_twice")
        assert (await watched.is_in(silent, "SUCCESS")).source == "backend"
        # The result may be here before the events, and tells no attempt.
        image = await watched.becomes(
            retried, lambda i: i.state == "SUCCESS" and i.attempt is not None
        )
        assert (image.attempt, image.conflict) == (3, False)


# ---- what is no news of ours ------------------------------------------------


async def test_results_of_another_database_are_not_ours(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    """Pub/sub knows no databases, so both projects publish on the same channels."""
    there = project_app(valkey.url, valkey.url.rpartition("/")[0] + "/7")
    here = project_app(valkey.url, valkey.url)
    async with told(here) as heard:
        foreign, own = store_result(there, 1), store_result(here, 2)
        await wait_until_async(lambda: heard.kinds(own), 30, "our own")
        assert heard.kinds(foreign) == []
        assert heard.channel.foreign == 1


async def test_a_key_prefix_is_heeded(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    options = {"result_backend_transport_options": {"global_keyprefix": "[shop]*"}}
    shop = project_app(valkey.url, valkey.url, **options)
    other = project_app(valkey.url, valkey.url)
    async with told(shop) as heard:
        store_result(other, 1)
        task_id = store_result(shop, 2)
        await wait_until_async(lambda: heard.events, 30, "our own")
        assert [event.task_id for event in heard.events] == [task_id]
    backend = ResultBackend(shop)
    assert await found(backend) == {task_id}
    await backend.close()


async def test_a_compressed_result_is_read(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url, result_compression="gzip")
    async with told(app) as heard:
        task_id = store_result(app, "x" * 500)
        await wait_until_async(lambda: heard.kinds(task_id), 30, "the result")
        assert heard.events[0].result == repr("x" * 500)


async def test_a_large_result_is_told_but_not_looked_into(app: Celery) -> None:
    async with told(app) as heard:
        task_id = store_result(app, ["x" * 1000] * 300)
        await wait_until_async(lambda: heard.kinds(task_id), 30, "the result")
        text = heard.events[0].result or ""
        assert text.startswith("(truncated, 30")
        assert heard.kinds(task_id) == ["succeeded"]


async def test_poison_is_set_aside_and_stops_nothing(
    app: Celery, valkey: PrivateValkey
) -> None:
    async with told(app) as heard:
        with valkey.client() as client:
            for body in (b"", b"no json", b"[1]", b"{}", b'{"status":1}', b"\xff\x00"):
                client.publish("celery-task-meta-bad", body)
        task_id = store_result(app, 1)
        await wait_until_async(
            lambda: heard.kinds(task_id), 30, "the result behind them"
        )
        assert heard.channel.rejected == len(heard.poison) == 6
        assert all(reason.endswith(".") for _, reason in heard.poison)


async def found(backend: ResultBackend, since: float = 0.0) -> set[str]:
    """Return the ids of all that `backend` knows, and that ended since then."""
    return {task_id async for page in backend.scan_pages(since) for task_id in page.ids}


# ---- asked ------------------------------------------------------------------


async def test_asking_a_redis_backend(app: Celery) -> None:
    ids = [store_result(app, number) for number in range(250)]
    backend = ResultBackend(app, Redactor())
    events = await backend.read_events([*ids, "never-heard-of", ids[0]])
    assert [event.task_id for event in events] == ids
    assert [event.result for event in events] == [str(n) for n in range(250)]
    assert await found(backend) == set(ids)
    assert backend.describe()["kind"] == "redis"
    await prompt(backend.close())


async def test_all_results_are_found_however_many_there_are(
    app: Celery, valkey: PrivateValkey
) -> None:
    ids = [f"t{number}" for number in range(25_000)]
    with valkey.client() as client:
        keys = {f"celery-task-meta-{id_}": b"{}" for id_ in ids}
        cast(Any, client).mset(keys)
    backend = ResultBackend(app)
    assert await found(backend) == set(ids)
    await prompt(backend.close())


async def test_asking_twice_tells_the_same_of_what_is_over(app: Celery) -> None:
    task_id = store_result(app, 1)
    backend = ResultBackend(app)
    first, second = [await backend.read_events([task_id]) for _ in range(2)]
    assert [msgspec.structs.replace(e, arrived_at=None) for e in first] == [
        msgspec.structs.replace(e, arrived_at=None) for e in second
    ]
    # So the second answer adds nothing to a task.
    assert merge(merge(None, first[0]), second[0]) == merge(None, first[0])
    await backend.close()


async def test_a_result_in_full(app: Celery) -> None:
    backend = ResultBackend(app, Redactor())
    long = store_result(app, {"rows": ["x"] * 20_000, "password": "abc"})
    full = await backend.read_full(long)
    assert full is not None
    assert full.value is not None
    assert full.value.count("'x'") == 20_000
    assert "abc" not in full.value
    measured = await backend.read_full(long, most=1_000)
    assert measured is not None
    assert measured.value is None
    assert measured.size > 60_000
    failed = await backend.read_full(store_result(app, ValueError("no"), "FAILURE"))
    assert failed is not None
    assert (failed.status, failed.exception) == ("FAILURE", "ValueError('no')")
    assert await backend.read_full("never-heard-of") is None
    await backend.close()


async def test_asking_a_backend_that_is_no_redis(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(valkey.url, f"file://{tmp_path}")
    done, failed = store_result(app, 1), store_result(app, ValueError("x"), "FAILURE")
    backend = ResultBackend(app)
    events = await backend.read_events([done, failed, "never-heard-of"])
    assert {e.task_id: e.result or e.exception for e in events} == {
        done: "1",
        failed: "ValueError('x')",
    }
    full = await backend.read_full(done)
    assert full is not None
    assert full.value == "1"
    assert (backend.kind, backend.can_ask) == ("other", True)
    assert await found(backend) == {done, failed}
    assert await found(backend, time.time() + 60) == set()
    # Whoever only reads leaves nothing behind, not even for a moment.
    assert len(list(tmp_path.iterdir())) == 2
    await prompt(backend.close())


@pytest.mark.parametrize(
    ("url", "kind"), [("rpc://", "rpc"), (None, "disabled"), ("mongodb://x/", "broken")]
)
async def test_a_backend_that_cannot_be_asked_says_so(
    url: str | None, kind: str, valkey: PrivateValkey, project_app: AppFactory
) -> None:
    backend = ResultBackend(project_app(valkey.url, url))
    assert (backend.kind, backend.can_ask) == (kind, False)
    assert backend.describe()["says"]
    if kind == "broken":
        # Nothing is known of any task, which is not the same as nothing stored.
        with pytest.raises(BackendUnreachable, match="install what it needs"):
            await backend.read_events(["x"])
    else:
        assert await backend.read_events(["x"]) == []
    assert await backend.read_full("x") is None
    assert await found(backend) == set()
    await backend.close()


async def test_a_backend_that_is_away_is_named_without_its_password(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, "redis://:hunter2@127.0.0.1:1/0")
    backend = ResultBackend(app)
    with pytest.raises(BackendUnreachable, match=r"127\.0\.0\.1:1") as raised:
        await backend.read_events(["x"])
    assert "hunter2" not in str(raised.value)
    await backend.close()
