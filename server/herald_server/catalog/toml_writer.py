"""Write task types as a `herald.toml`. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from herald_server.catalog.types import NO_DEFAULT, Param, TaskType

HEADER_TEXT: Final = """\
# The tasks that agents and programs may start through Herald (HERALD_CATALOG).
# Written from the signatures of the app. Read it before you use it:
# - delete the tables of what nobody shall start,
# - scope = "admin" asks for a token with that scope, confirm = true for a person,
# - duration is said until runs were measured, such as "2-5 minutes".
"""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(kinds: Sequence[TaskType]) -> str:
    """Return the herald.toml that declares `kinds`."""
    names = make_short_names([kind.celery_name for kind in kinds])
    return "\n".join(
        [HEADER_TEXT, *(_format_table(names[kind.celery_name], kind) for kind in kinds)]
    )


def make_short_names(celery_names: Sequence[str]) -> dict[str, str]:
    """Return a name for each Celery name: its last part, or all of it if that is not
    its alone."""
    last = {name: _make_slug(name.rpartition(".")[2]) for name in celery_names}
    counted = Counter(last.values())
    whole = {name: _make_slug(name) for name in celery_names}
    often = Counter(whole.values())
    return {
        name: last[name]
        if last[name] and counted[last[name]] == 1
        else (whole[name] if often[whole[name]] == 1 else name)
        for name in celery_names
    }


def _make_slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _format_table(name: str, kind: TaskType) -> str:
    place = f"task_types.{_format_key(name)}"
    lines = [f"[{place}]", f"celery_name = {format_value(kind.celery_name)}"]
    if kind.description:
        lines.append(f"description = {format_value(kind.description)}")
    if kind.queue:
        lines.append(f"queue = {format_value(kind.queue)}")
    lines += ['scope = "start"', "confirm = false", ""]
    for param in kind.params:
        lines += [
            f"[{place}.params.{_format_key(param.name)}]",
            *_format_param(param),
            "",
        ]
    return "\n".join(lines)


def _format_param(param: Param) -> list[str]:
    fields: dict[str, object] = {"type": param.type}
    if param.required:
        fields["required"] = True
    if param.nullable:
        fields["nullable"] = True
    if param.format:
        fields["format"] = param.format
    if param.enum is not None:
        fields["enum"] = list(param.enum)
    if param.default is not NO_DEFAULT and param.default is not None:
        fields["default"] = param.default
    return [f"{key} = {format_value(one)}" for key, one in fields.items()]


def _format_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else format_value(name)


def format_value(one: object) -> str:
    """Return a JSON value as TOML."""
    if isinstance(one, str):
        # JSON's escapes are TOML's, but for these.
        clean = one.encode("utf-8", "replace").decode()
        return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(one, list | tuple):
        return (
            f"[{', '.join(format_value(item) for item in cast('Sequence[Any]', one))}]"
        )
    if isinstance(one, Mapping):
        pairs = cast("Mapping[str, object]", one).items()
        listed = (f"{_format_key(key)} = {format_value(item)}" for key, item in pairs)
        return f"{{{', '.join(listed)}}}"
    return json.dumps(one)
