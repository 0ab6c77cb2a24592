"""Compare a value with a recorded file, and say which names differ."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

RECORDED = Path(__file__).parent / "recorded"
RENEW = "HERALD_TEST_RENEW"
MAX_LINES = 60


def compare(name: str, value: object) -> None:
    """Fail unless `recorded/NAME` holds `value`: text if it is a str, else JSON."""
    path = RECORDED / name
    text = value if isinstance(value, str) else to_text(value)
    if os.environ.get(RENEW):
        path.write_text(text)
        return
    before = path.read_text() if path.exists() else ""
    if text == before:
        return
    if isinstance(value, str) or not before:
        lines = list(_text_differences(before, text))
    else:
        lines = list(differences(json.loads(before), json.loads(text)))
    shown = lines[:MAX_LINES]
    more = [f"… and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    pytest.fail(
        "\n".join(
            (
                f"the public contract is not as tests/golden/recorded/{name} says:",
                *shown,
                *more,
                "if this is meant: python -m tests.golden --renew",
            )
        ),
        pytrace=False,
    )


def to_text(value: object) -> str:
    """Return `value` as sorted JSON with short lines."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Yield a line for each name that is gone, new or has another value."""
    if isinstance(before, dict) and isinstance(now, dict):
        yield from _table_differences(cast(Any, before), cast(Any, now), place)
    elif isinstance(before, list) and isinstance(now, list):
        yield from _list_differences(cast(Any, before), cast(Any, now), place)
    elif before != now:
        yield f"changed: {place}: {_short(before)} -> {_short(now)}"


def _table_differences(
    old: dict[str, Any], new: dict[str, Any], place: str
) -> Iterator[str]:
    for key in sorted({*old, *new}):
        inner = f"{place} / {key}" if place else key
        if key not in new:
            yield f"gone:    {inner} (was {_short(old[key])})"
        elif key not in old:
            yield f"new:     {inner} ({_short(new[key])})"
        else:
            yield from differences(old[key], new[key], inner)


def _list_differences(old: list[Any], new: list[Any], place: str) -> Iterator[str]:
    if len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
        return
    for one in old:
        if one not in new:
            yield f"gone:    {place}: {_short(one)}"
    for one in new:
        if one not in old:
            yield f"new:     {place}: {_short(one)}"
    yield f"changed: {place}: {len(old)} -> {len(new)} entries"


def _text_differences(before: str, now: str) -> Iterator[str]:
    yield from difflib.unified_diff(
        before.splitlines(), now.splitlines(), "recorded", "now", lineterm="", n=1
    )


def _short(value: Any, most: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"
