"""The Lua sources of the scripts."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

ALLOW_OOM_FLAG = " flags=allow-oom"
"""The header that lets a script run in a full store."""


@cache
def load_script(name: str, flags: str = "") -> tuple[str, str]:
    """Return the hash and the text of a script, its `flags` on the first line."""
    text = files("herald_core.store.redis.lua").joinpath(name).read_text("utf-8")
    text = text.replace("#!lua\n", f"#!lua{flags}\n", 1)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text
