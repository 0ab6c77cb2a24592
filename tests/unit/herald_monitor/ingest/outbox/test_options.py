"""Where the outbox is: the same for monitors and workers."""

import pytest

from herald_core import settings
from herald_monitor.ingest.outbox.options import OutboxOptions, has_outbox, name_outbox
from herald_worker.outbox import stream_format
from tests.support.celery.project import make_app


def test_monitors_and_workers_have_the_same_defaults() -> None:
    assert settings.DEFAULT_OUTBOX_STREAM == stream_format.DEFAULT_STREAM
    assert settings.DEFAULT_OUTBOX_GROUP == stream_format.DEFAULT_GROUP
    assert settings.MAX_OUTBOX_STREAMS == stream_format.MAX_STREAMS


@pytest.mark.parametrize(
    ("broker", "url", "found"),
    [
        ("redis://h/0", None, True),
        ("rediss://h/0", None, True),
        ("sentinel://h:1;sentinel://h:2", None, True),
        ("redis+socket:///tmp/s", None, True),
        ("amqp://h", None, False),
        ("sqs://", None, False),
        ("amqp://h", "redis://h/0", True),
    ],
)
def test_only_a_redis_holds_an_outbox(
    broker: str, url: str | None, found: bool
) -> None:
    assert has_outbox(make_app(broker), OutboxOptions(url=url)) is found


def test_an_outbox_is_named_without_its_password() -> None:
    own = OutboxOptions(url="redis://u:secret@h:1/0")
    assert "secret" not in name_outbox(own, "redis://b")
    assert name_outbox(OutboxOptions(), "redis://b") == "redis://b"


def test_several_streams_have_names_of_their_own() -> None:
    assert OutboxOptions().list_streams() == ("herald:outbox",)
    assert OutboxOptions(stream="s", streams=2).list_streams() == ("s:0", "s:1")
