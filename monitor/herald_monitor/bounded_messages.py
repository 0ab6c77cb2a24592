"""kombu's messages, whose compression is undone only as far as they may be long.

kombu undoes it as a message is made (kombu/message.py), without any bound: a hundred
bytes that somebody sent would take gigabytes here.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from herald_monitor.decompression import decompress_bounded
from herald_monitor.errors import BadEvent


class _Bounded:
    """A mixin. `refusal` says why the body could not be unpacked; it stays packed."""

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
            except BadEvent as error:
                self.refusal = str(error)


def bound_messages(channel: Any) -> None:
    """Let `channel` make bounded messages from now on."""
    channel.Message = _bounded(channel.Message)


@cache
def _bounded(kind: Any) -> Any:
    return kind if issubclass(kind, _Bounded) else type("Message", (_Bounded, kind), {})
