"""Encode the frames of `herald.v1` other than `data`."""

from __future__ import annotations

from typing import Any

from herald_core.model.codec import to_json

PROTOCOL_NAME = "herald.v1"
PROTOCOL_VERSION = 1


def encode_control(type_: str, **fields: Any) -> bytes:
    """Return a frame of another type; fields that are None are omitted."""
    said = {"type": type_, **{k: v for k, v in fields.items() if v is not None}}
    return to_json(said)
