"""A broker of each kind that holds the outbox, and an app for it."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from celery import Celery

from tests.support.celery.project import make_app


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    """A client of the Redis that holds the outbox."""
    with redis.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    """An app whose broker it is."""
    made = make_app(redis_url)
    yield made
    cast(Any, made).close()
