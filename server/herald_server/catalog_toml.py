"""Read task types from a `herald.toml`; whatever is wrong is named with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Final, TypeVar, cast

from herald_server.catalog_types import (
    ABSENT,
    FORMATS,
    JSON_TYPES,
    SCOPES,
    CatalogError,
    JsonType,
    Param,
    Scope,
    TaskType,
    closest,
    relative_date,
)

_TYPE_KEYS: Final = (
    "celery_name",
    "description",
    "params",
    "queue",
    "duration",
    "scope",
    "confirm",
)
_PARAM_KEYS: Final = (
    "type",
    "default",
    "required",
    "minimum",
    "format",
    "enum",
    "nullable",
    "description",
)
_NOUNS: Final[dict[type[object], str]] = {
    str: "a string",
    bool: "true or false",
    list: "an array",
    dict: "a table",
}

Table = Mapping[str, object]
T = TypeVar("T")


def read_catalog(
    path: Path,
) -> tuple[tuple[TaskType, ...], tuple[str, ...], tuple[str, ...]]:
    """Read all `[task_types.NAME]` tables, and the globs in `allow` and `queues`.

    `allow` are Celery names, `queues` are queues. Raises `CatalogError` with the
    place.
    """
    table = _parse(path)
    try:
        types = _subtable(table, "task_types", "")
        allow = _globs(table, "allow", "Celery task names, such as ['reports.*']")
        queues = _globs(table, "queues", "queue names, such as ['reports.*']")
        if not types and not allow and not {"webhooks", "tokens", "queues"} & {*table}:
            raise CatalogError("no task types: add a table [task_types.NAME]")
        found = tuple(_task_type(name, value) for name, value in types.items())
        return found, allow, queues
    except CatalogError as error:
        message = f"{path}: {error}"
        raise CatalogError(message, error.task_type, error.param) from None


def _parse(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogError(f"cannot read {path}: {reason}") from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path} is not valid TOML: {error}") from None


def _globs(table: Table, key: str, what: str) -> tuple[str, ...]:
    listed = cast("list[object]", _get(table, key, list, "") or [])
    if not all(isinstance(one, str) and one for one in listed):
        raise CatalogError(f"{key} must be an array of {what}")
    return tuple(cast("list[str]", listed))


def _task_type(name: str, value: object) -> TaskType:
    place = f"[task_types.{name}]"
    table = _table(value, place, name)
    _refuse_unknown_keys(table, _TYPE_KEYS, place, name)
    if not (celery_name := _get(table, "celery_name", str, place, name)):
        raise CatalogError(
            f"{place} needs celery_name, such as celery_name = 'app.tasks.{name}'",
            name,
        )
    scope = _get(table, "scope", str, place, name) or "start"
    if scope not in SCOPES:
        raise CatalogError(f"{place} scope must be one of {_listed(SCOPES)}", name)
    return TaskType(
        name=name,
        celery_name=celery_name,
        description=_get(table, "description", str, place, name) or "",
        params=_params(table, place, name),
        duration=_get(table, "duration", str, place, name) or "unknown",
        scope=cast("Scope", scope),
        confirm=_get(table, "confirm", bool, place, name) or False,
        queue=_get(table, "queue", str, place, name),
    )


def _params(table: Table, place: str, task_type: str) -> tuple[Param, ...]:
    params: dict[str, Param] = {}
    for name, value in _subtable(table, "params", place, task_type).items():
        where = f"[task_types.{task_type}.params.{name}]"
        param = _param(name, value, where, task_type)
        _refuse_bad_default(param, params, where, task_type)
        params[name] = param
    return tuple(params.values())


def _param(name: str, value: object, place: str, task_type: str) -> Param:
    table = _table(value, place, task_type)
    _refuse_unknown_keys(table, _PARAM_KEYS, place, task_type)
    kind = table.get("type")
    if kind not in JSON_TYPES:
        raise CatalogError(
            f"{place} type must be one of {_listed(JSON_TYPES)}", task_type, name
        )
    enum = cast("list[object] | None", _get(table, "enum", list, place, task_type))
    param = Param(
        name=name,
        type=cast("JsonType", kind),
        description=_get(table, "description", str, place, task_type) or "",
        default=_plain(table.get("default", ABSENT)),
        required=_get(table, "required", bool, place, task_type) or False,
        minimum=_minimum(table, place, task_type),
        format=_format(table, place, task_type),
        enum=None if enum is None else tuple(_plain(item) for item in enum),
        nullable=_get(table, "nullable", bool, place, task_type) or False,
    )
    _refuse_contradiction(param, place, task_type)
    return param


def _minimum(table: Table, place: str, task_type: str) -> float | None:
    minimum = table.get("minimum")
    if minimum is None:
        return None
    if isinstance(minimum, bool) or not isinstance(minimum, int | float):
        raise CatalogError(f"{place} minimum must be a number", task_type)
    if table.get("type") not in ("integer", "number"):
        raise CatalogError(f"{place} minimum is for type integer or number", task_type)
    return minimum


def _format(table: Table, place: str, task_type: str) -> str | None:
    form = _get(table, "format", str, place, task_type)
    if form is not None and form not in FORMATS:
        raise CatalogError(
            f"{place} format must be one of {_listed(FORMATS)}", task_type
        )
    if form is not None and table.get("type") != "string":
        raise CatalogError(f"{place} format is for type string", task_type)
    return form


def _refuse_contradiction(param: Param, place: str, task_type: str) -> None:
    if param.required and param.default is not ABSENT:
        raise CatalogError(
            f"{place} is required and has a default: keep one of the two",
            task_type,
            param.name,
        )
    for item in param.enum or ():
        plain = Param(param.name, param.type, format=param.format)
        if sentence := plain.wrong(item):
            raise CatalogError(f"{place} enum: {sentence}", task_type, param.name)


def _refuse_bad_default(
    param: Param, earlier: Mapping[str, Param], place: str, task_type: str
) -> None:
    default = param.default
    if default is ABSENT:
        return
    if param.format == "date" and isinstance(default, str):
        dates = {p.name: "2000-01-01" for p in earlier.values() if p.format == "date"}
        default = relative_date(default, date(2000, 1, 1), dates) or default
    if sentence := param.wrong(default):
        raise CatalogError(f"{place} default: {sentence}", task_type, param.name)


def _table(value: object, place: str, task_type: str) -> Table:
    if not isinstance(value, dict):
        raise CatalogError(f"{place} must be a table", task_type)
    return cast("Table", value)


def _get(
    table: Table, key: str, kind: type[T], place: str, task_type: str = ""
) -> T | None:
    value = table.get(key)
    if value is None or isinstance(value, kind):
        return value
    where = f"{place} {key}".strip()
    raise CatalogError(f"{where} must be {_NOUNS[kind]}", task_type)


def _subtable(table: Table, key: str, place: str, task_type: str = "") -> Table:
    return cast("Table", _get(table, key, dict, place, task_type) or {})


def _plain(value: object) -> object:
    # TOML has dates and times of its own; they travel as text.
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("Table", value).items()}
    return value


def _refuse_unknown_keys(
    table: Table, known: tuple[str, ...], place: str, task_type: str
) -> None:
    for key in table:
        if key not in known:
            raise CatalogError(
                f"{place} has an unknown key {key!r}{closest(key, known)}; "
                f"known are {_listed(known)}",
                task_type,
            )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
