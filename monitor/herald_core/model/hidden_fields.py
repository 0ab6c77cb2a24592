"""Fields of tasks that a token does not show. Pure.

A token that hides `args` or `kwargs` hides the tags that are made of their values too
(`kwargs.order_id:12345`), but for those that the token itself is narrowed to.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from herald_core.model.changes import Change
from herald_core.model.codec import to_json
from herald_core.model.filters import HIDEABLE_FIELDS, Filter, is_hidden_tag
from herald_core.model.tasks.views import TaskView

V = TypeVar("V", bound=msgspec.Struct)


def hide_fields(view: V, only: Filter | None) -> V:
    """Return a task, an attempt or an outcome without what the filter of a token
    hides."""
    if only is None or not only.hidden_fields:
        return view
    known = set(view.__struct_fields__)
    fields: dict[str, Any] = dict.fromkeys(only.hidden_fields & known)
    if isinstance(view, TaskView) and view.tags:
        fields["tags"] = _select_tags(view.tags, only)
    return msgspec.structs.replace(view, **fields)


def hide_in_change(change: Change, only: Filter) -> Change:
    """Return a change of a task without what the filter of a token hides."""
    if not only.hidden_fields or change.task is None:
        return change
    return msgspec.structs.replace(
        change,
        task=hide_fields(change.task, only),
        json=_hide_in_json(change.json, only) if change.json else change.json,
    )


@lru_cache(maxsize=1_024)
def _hide_in_json(image: bytes, only: Filter) -> bytes:
    """Return the JSON of a task without hidden fields; cached for all subscribers."""
    whole: dict[str, Any] = msgspec.json.decode(image)
    shown = {key: one for key, one in whole.items() if key not in only.hidden_fields}
    if "tags" in shown:
        shown["tags"] = _select_tags(shown["tags"], only)
    return to_json({key: one for key, one in shown.items() if one is not None})


def _select_tags(tags: Iterable[str], only: Filter) -> tuple[str, ...] | None:
    shown = tuple(
        tag
        for tag in tags
        if tag in only.own_tags or not is_hidden_tag(tag, only.hidden_fields)
    )
    return shown or None


__all__ = ["HIDEABLE_FIELDS", "hide_fields", "hide_in_change"]
