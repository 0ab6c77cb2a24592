"""The texts of scripts, as Redis is told them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

ALLOW_OOM = " flags=allow-oom"
"""What makes a script run in a full store."""


@cache
def source_of(name: str, flags: str = "") -> tuple[str, str]:
    """Return the hash and the text of a script, its `flags` on the first line."""
    text = files("herald_monitor").joinpath("scripts", name).read_text("utf-8")
    text = text.replace("#!lua\n", f"#!lua{flags}\n", 1)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text
