"""`herald replay --from-outbox`: what the stream holds, stored once more."""

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from click.testing import Result

from tests.support.herald.command_line import runner_at
from tests.support.herald.monitor_process import open_store
from tests.support.outbox.writing import (
    make_task_event,
    make_worker_event,
    write_entry,
    write_tasks,
)
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(valkey: PrivateValkey) -> Iterator["redis.Redis"]:
    with valkey.client() as made:
        yield made


async def replay(*words: str, **environment: str) -> Result:
    """Run `herald replay` in this process, beside the test's own loop."""
    run = runner_at("http://localhost:1")
    return await asyncio.to_thread(
        run, "replay", "--from-outbox", *words, **environment
    )


def locate_store(valkey: PrivateValkey) -> str:
    return f"{valkey.url.rpartition('/')[0]}/5"


async def test_all_entries_are_stored_also_those_that_were_read(
    valkey: PrivateValkey, client: "redis.Redis"
) -> None:
    ids = [f"t{number}" for number in range(450)]
    write_tasks(client, ids)
    write_entry(client, [7, make_worker_event()], fields={"dropped": 2})
    client.xgroup_create("herald:outbox", "herald", "$")
    done = await replay("--broker", valkey.url, "--store", locate_store(valkey))
    assert done.exit_code == 0, done.output
    assert "450 of tasks, 1 of workers" in done.stderr
    assert "1 set aside" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("replayed 451 entries of the outbox at redis://")
    async with open_store(locate_store(valkey)) as store:
        found = await store.get_tasks(ids)
        assert {task.state for task in found if task} == {"RECEIVED"}
        assert all(found)
        [gap] = await store.list_gaps()
        assert gap.reason.startswith("2 events were dropped")
    # The group is where it was.
    [group] = cast("list[dict[str, object]]", client.xinfo_groups("herald:outbox"))
    assert group["pending"] == 0


async def test_it_prints_the_tasks_of_all_streams_without_a_store(
    valkey: PrivateValkey, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"], "mine:0")
    write_entry(client, [make_task_event("b", "started")], "mine:1")
    done = await replay(
        "--print",
        HERALD_OUTBOX_URL=valkey.url,
        HERALD_OUTBOX_STREAM="mine",
        HERALD_OUTBOX_STREAMS="2",
        HERALD_BROKER_URL="amqp://localhost:1",
    )
    assert done.exit_code == 0, done.output
    assert [line[:9] for line in done.stdout.splitlines()] == ['{"id":"a"', '{"id":"b"']


async def test_an_empty_outbox_says_how_to_fill_it(valkey: PrivateValkey) -> None:
    done = await replay("--broker", valkey.url, "--print")
    assert done.exit_code == 0
    assert "holds no entries: workers write to it with" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--print", "--broker", "amqp://localhost:1"), "there is no outbox"),
        (("--print", "--broker", "redis://localhost:1"), "nothing listens there"),
        (("--print",), "no broker is known"),
        (("file", "--print"), "either FILE or --from-outbox"),
        (("--print", "--speed", "1"), "need FILE"),
        ((), "give --print"),
    ],
)
async def test_what_cannot_be_is_said(words: tuple[str, ...], said: str) -> None:
    done = await replay(*words)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
