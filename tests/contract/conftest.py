"""The stores that the contract holds for."""

from collections.abc import Iterator
from typing import cast

import pytest

from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import Lab

EVERY = ["memory", "valkey", pytest.param("redis7", marks=pytest.mark.redis7)]


def _url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "memory":
        return None
    if request.param == "redis7":
        return str(request.getfixturevalue("redis7_url"))
    server = cast(PrivateValkey, request.getfixturevalue("module_valkey"))
    return server.url


@pytest.fixture(params=[*EVERY, "partitions"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A place for stores of each kind."""
    lab = Lab(_url(request), 3 if request.param == "partitions" else 1)
    yield lab
    lab.clean()


@pytest.fixture(params=EVERY)
def lone_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A place for stores with one log, whose numbers can be foretold."""
    lab = Lab(_url(request))
    yield lab
    lab.clean()


@pytest.fixture(params=EVERY[1:])
def redis_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A place for stores on each kind of Redis."""
    lab = Lab(_url(request))
    yield lab
    lab.clean()


@pytest.fixture
def own_lab(valkey: PrivateValkey) -> Lab:
    """A Valkey for this test alone, to be maltreated."""
    return Lab(valkey.url)
