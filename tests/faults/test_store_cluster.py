"""A store in partitions on a real cluster: a node fails over under load."""

from collections.abc import Iterator

import pytest
from celery import Celery
from tests.cluster import Cluster, cluster
from tests.fault_room import fault_room
from tests.serving import until

from herald_monitor.partitioned_store import PartitionedStore
from herald_monitor.partitions import prefixes
from herald_monitor.redis_store import RedisStore

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
            for part, prefix in enumerate(prefixes("{herald}", PARTITIONS))
        ]
    )


async def test_a_node_fails_over_under_load(nodes: Cluster, module_app: Celery) -> None:
    async with fault_room(module_app, nodes.url, make=partitioned) as room:
        await room.remember()
        nodes.primaries[-1].kill()
        await until(nodes.promoted, 15, "the replica took over")
        await room.comes_true()
