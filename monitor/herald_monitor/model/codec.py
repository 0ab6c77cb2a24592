"""The one JSON encoder, and how a rev gets into what it wrote."""

from __future__ import annotations

import msgspec

_json = msgspec.json.Encoder()


def to_json(shown: object) -> bytes:
    """Return anything that is shown as JSON."""
    return _json.encode(shown)


def with_rev(image: bytes, rev: str) -> bytes:
    """Return the JSON object `image` with its `rev`.

    The rev is known only once the change is in the log, where its JSON lies already.
    """
    return b'%b,"rev":"%b"}' % (image[:-1], rev.encode())
