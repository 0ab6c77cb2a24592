"""A store in partitions on a real cluster: a node fails over under load."""

from collections.abc import Iterator

import pytest
from celery import Celery

from herald_core.store.partitioned.routing import list_prefixes
from herald_core.store.partitioned.store import PartitionedStore
from herald_core.store.redis.store import RedisStore
from tests.support.herald.fault_environment import fault_room
from tests.support.servers.redis_cluster import Cluster, cluster
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

PARTITIONS = 6


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def partitioned(url: str, patience: float) -> PartitionedStore:
    return PartitionedStore(
        [
            RedisStore(url, prefix=prefix, part=part, patience=patience)
            for part, prefix in enumerate(list_prefixes("{herald}", PARTITIONS))
        ]
    )


async def test_a_node_fails_over_under_load(nodes: Cluster, module_app: Celery) -> None:
    async with fault_room(module_app, nodes.url, make=partitioned) as room:
        await room.remember()
        nodes.primaries[-1].kill()
        await wait_until_async(nodes.promoted, 30, "the replica took over")
        await room.comes_true()
