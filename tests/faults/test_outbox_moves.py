"""The outbox on a cluster and behind sentinels: its reader follows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery
from redis.cluster import RedisCluster

from herald_worker.outbox.stream_format import DEFAULT_STREAM, get_stream_names
from tests.support.celery.project import make_app
from tests.support.outbox.reading import find_pending, reading
from tests.support.outbox.writing import write_tasks
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.servers.redis_cluster import cluster
from tests.support.servers.sentinel import leads, replicate, sentinel
from tests.support.wait import wait_until

STREAMS = 4


@pytest.fixture
def app(valkey: PrivateValkey) -> Iterator[Celery]:
    made = make_app(valkey.url)
    yield made
    cast(Any, made).close()


def test_streams_are_read_from_all_nodes_of_a_cluster(
    app: Celery, tmp_path: Path
) -> None:
    with cluster(tmp_path) as nodes:
        seed = nodes.primaries[0].port
        client = cast(Any, RedisCluster(host="127.0.0.1", port=seed))
        names = get_stream_names(DEFAULT_STREAM, STREAMS)
        owners = {client.get_node_from_key(name).port for name in names}
        assert len(owners) > 1, "they are spread"
        with reading(app, url=nodes.url, streams=STREAMS) as here:
            for number, name in enumerate(names):
                write_tasks(client, [f"t{number}"], name)
            wait_until(lambda: len(here.ids) == STREAMS, message="all are read")
            wait_until(
                lambda: sum(find_pending(client, name) for name in names) == 0,
                message="all are acknowledged",
            )
        client.close()


def test_the_reader_follows_a_promoted_replica(app: Celery, tmp_path: Path) -> None:
    with private_valkey() as primary, private_valkey() as other:
        replica = cast(Any, other.client())
        replicate(primary, replica)
        with sentinel(primary, tmp_path) as port:
            url = f"redis+sentinel://127.0.0.1:{port}/mymaster/0"
            with reading(app, url=url) as here, primary.client() as client:
                write_tasks(client, ["a"])
                here.has(["a"])
                wait_until(lambda: _find_acknowledged(replica), message="replicated")
                primary.kill()
                wait_until(lambda: leads(replica), 30, "it was promoted")
                write_tasks(replica, ["b"])
                here.has(["a", "b"], 30)
                assert not here.losses
        replica.close()


def _find_acknowledged(replica: "redis.Redis") -> bool:
    told: list[Any] = cast(Any, replica).xinfo_groups(DEFAULT_STREAM)
    return bool(told) and told[0]["pending"] == 0 and told[0]["entries-read"] == 1
