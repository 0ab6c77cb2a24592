"""The counts of Amazon SQS, of queues that exist: kombu's own would create them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from kombu import Connection
from kombu.exceptions import KombuError

WAITING = "ApproximateNumberOfMessages"
GIVEN_OUT = "ApproximateNumberOfMessagesNotVisible"


class SqsCount(NamedTuple):
    """Messages that wait, and that workers hold; both about right."""

    waiting: int
    given_out: int


def is_sqs(connection: Connection) -> bool:
    """Return True if the broker is Amazon SQS."""
    return bool(cast(Any, connection).transport.driver_type == "sqs")


def count_sqs_queues(
    connection: Connection, names: Iterable[str]
) -> dict[str, SqsCount]:
    """Return the counts of each of `names` that exists. Raises the library's errors."""
    channel = cast(Any, connection).channel()
    found: dict[str, SqsCount] = {}
    for name in names:
        url = _find_url(channel, name)
        if url is not None:
            found[name] = _count(
                channel.sqs(queue=channel.canonical_queue_name(name)), url
            )
    return found


def _find_url(channel: Any, name: str) -> str | None:
    try:
        return str(channel._resolve_queue_url(name))
    except KombuError:  # there is no such queue, or it is not predefined
        return None


def _count(client: Any, url: str) -> SqsCount:
    reply = client.get_queue_attributes(
        QueueUrl=url, AttributeNames=[WAITING, GIVEN_OUT]
    )["Attributes"]
    return SqsCount(int(reply[WAITING]), int(reply[GIVEN_OUT]))
