"""Brokers of these tests."""

from collections.abc import Iterator

import pytest

from tests.support.servers.sqs import PrivateSqs, private_sqs


@pytest.fixture(scope="module")
def sqs() -> Iterator[PrivateSqs]:
    """Amazon SQS, for all tests of a module."""
    with private_sqs() as server:
        yield server
