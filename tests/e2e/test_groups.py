"""Groups that a project sends: what is known of them, under real workers."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from celery import Celery, chain, chord, group

import herald_worker
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.auth.scoped_store import scope_store
from herald_server.insight.groups import completeness
from herald_server.insight.groups.reader import GroupReader, GroupSummary
from herald_server.insight.groups.sizes import GroupSizeStore
from tests.support.celery.outbox_stream import AUTO
from tests.support.celery.project import make_app
from tests.support.celery.worker import Worker
from tests.support.herald.memory_monitor import Watched, watching
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

WITHIN = 30.0


@pytest.fixture(scope="module", params=["events", "outbox"])
def app(
    request: pytest.FixtureRequest,
    module_valkey: PrivateValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Celery]:
    """The project, with one server as broker and backend, and a worker of two slots."""
    made = make_app(module_valkey.url, module_valkey.url)
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    outbox = request.param == "outbox"
    if outbox:
        herald_worker.install(made)
    worker = Worker(made, log, concurrency=2, extra=AUTO if outbox else ())
    worker.start()
    yield made
    worker.close()
    cast(Any, made).close()


@asynccontextmanager
async def known(app: Celery) -> AsyncGenerator[tuple[GroupReader, Watched]]:
    """Run a monitor, and yield who tells of groups."""
    backend = ResultBackend(app)
    async with watching(app) as watched:
        store = scope_store(watched.store)
        yield GroupReader(store, GroupSizeStore(store, backend)), watched
    await backend.close()


def naps(app: Celery, number: int, seconds: float = 0.6) -> list[Any]:
    """Return calls of tasks that take a while."""
    made = cast(Any, app).signature("sleepy", args=(seconds,), immutable=True)
    return [made.clone() for _ in range(number)]


async def followed(groups: GroupReader, group_id: str) -> list[GroupSummary]:
    """Return each summary of a group, from the first one until it is done."""
    told: list[GroupSummary] = []

    async def is_done() -> bool:
        found = await groups.read_summary(group_id)
        told.extend([found] if found else [])
        return found is not None and found.is_done

    await wait_until_async(is_done, WITHIN, "the group is done")
    return told


def ends_with_all(told: list[GroupSummary], members: int) -> bool:
    """Return True if no summary says more than is so, and the last says all."""
    last = told[-1]
    honest = all(one.total <= members and one.over <= one.total for one in told)
    return honest and (last.total, last.over, last.whole) == (members, members, True)


async def test_a_group_is_not_done_while_members_run(app: Celery) -> None:
    async with known(app) as (groups, _):
        sent = cast(Any, group)(naps(app, 6)).apply_async()
        told = await followed(groups, sent.id)
        early = [one for one in told if one.over < 6]
        assert early
        assert not any(one.whole or one.is_done for one in early)
        assert ends_with_all(told, 6)


async def test_a_group_without_sent_events_is_at_least_what_is_known(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0.0)
    monkeypatch.setitem(app.conf, "task_send_sent_event", False)
    async with known(app) as (groups, watched):
        sent = cast(Any, group)(naps(app, 3, 0.1)).apply_async()
        for one in sent.children:
            await watched.is_in(one.id, "SUCCESS")

        async def known_members() -> bool:
            # Only the result of a member tells of its group.
            told = await groups.read_summary(sent.id)
            return told is not None and told.over == 3

        await wait_until_async(known_members, 30, "all members are known")
        found = await groups.read_summary(sent.id)
        assert found is not None
        assert (found.total, found.over, found.whole, found.is_done) == (
            3,
            3,
            False,
            False,
        )


async def test_the_size_of_a_chord_is_known_and_its_body_is_no_member(
    app: Celery,
) -> None:
    async with known(app) as (groups, watched):
        body = cast(Any, app).signature("sleepy", args=(0.1,), immutable=True)
        sent = cast(Any, chord)(naps(app, 6), app=app)(body)
        told = await followed(groups, sent.parent.id)
        assert [one.total for one in told if one.whole and one.over < 6]
        assert ends_with_all(told, 6)
        await watched.is_in(sent.id, "SUCCESS")
        after = await groups.read_summary(sent.parent.id)
        assert after is not None
        assert (after.total, after.over, after.is_done) == (6, 6, True)
        assert sum(after.counts.values()) == 6


async def test_a_chord_that_nobody_looked_at_is_whole_by_its_body(app: Celery) -> None:
    async with known(app) as (groups, watched):
        nap = cast(Any, app).signature("sleepy", args=(0.1,), immutable=True)
        body = cast(Any, chain)(nap.clone(), nap.clone())
        sent = cast(Any, chord)(naps(app, 4, 0.1), app=app)(body)
        header = sent.parent
        while not hasattr(header, "results"):
            header = header.parent
        await watched.is_in(sent.id, "SUCCESS")
        assert ends_with_all(await followed(groups, header.id), 4)


async def test_the_size_of_a_saved_group_is_known(app: Celery) -> None:
    async with known(app) as (groups, _):
        sent = cast(Any, group)(naps(app, 6)).apply_async()
        sent.save()
        told = await followed(groups, sent.id)
        assert {one.total for one in told} == {6}
        assert ends_with_all(told, 6)


async def test_a_group_of_chains_has_the_last_of_each_as_members(app: Celery) -> None:
    async with known(app) as (groups, _):
        chains = [cast(Any, chain)(*naps(app, 2, 0.3)) for _ in range(4)]
        sent = cast(Any, group)(chains).apply_async()
        assert ends_with_all(await followed(groups, sent.id), 4)


async def test_a_group_with_failures_is_done_with_them(app: Celery) -> None:
    async with known(app) as (groups, _):
        fails = cast(Any, app).signature("fail", args=("no",), immutable=True)
        sent = cast(Any, group)([fails, *naps(app, 3, 0.3)]).apply_async()
        told = await followed(groups, sent.id)
        assert ends_with_all(told, 4)
        assert told[-1].counts == {"SUCCESS": 3, "FAILURE": 1}
