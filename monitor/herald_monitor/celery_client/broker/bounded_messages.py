"""kombu's messages with a size limit for decompression.

kombu decompresses a message on creation (kombu/message.py), without any limit. A
message of a hundred bytes could take gigabytes.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, Final, cast

from herald_core.errors import InvalidEvent
from herald_core.system.decompression import decompress_bounded

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024

MAX_ANSWER_PARTS: Final = 300_000
"""Lists and objects of an answer: those of 50,000 tasks that a worker holds. Each takes
60 to 200 bytes of memory, and three to send."""


class _BoundedMessage:
    """A mixin. `refusal` is the reason why the body was not decompressed."""

    # kombu undoes no compression of a message that has errors already.
    errors: Any = (None,)
    refusal = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        own = cast(Any, self)
        self.errors = []
        if isinstance(own.body, str):
            own.body = own.body.encode()
        if compression := own.headers.get("compression"):
            try:
                own.body = decompress_bounded(bytes(own.body or b""), compression)
            except InvalidEvent as error:
                self.refusal = str(error)

    def decode(self) -> Any:
        """Return a worker's answer; None if it would take too much memory.

        The worker then counts as one that did not answer, which proves nothing.
        """
        own = cast(Any, super())
        body: bytes = cast(Any, self).body or b""
        parts = body.count(b"[") + body.count(b"{")
        if len(body) <= MAX_ANSWER_BYTES and parts <= MAX_ANSWER_PARTS:
            return own.decode()
        log.warning(
            "An answer of a worker is not read: it has %d bytes, and %d lists and "
            "objects; %d and %d are the most.",
            *(len(body), parts, MAX_ANSWER_BYTES, MAX_ANSWER_PARTS),
        )
        return None


def bound_messages(channel: Any) -> None:
    """Let `channel` make bounded messages from now on."""
    channel.Message = _make_bounded_class(channel.Message)


@cache
def _make_bounded_class(kind: Any) -> Any:
    return (
        kind
        if issubclass(kind, _BoundedMessage)
        else type("Message", (_BoundedMessage, kind), {})
    )
