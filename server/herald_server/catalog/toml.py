"""Read task types from a `herald.toml`; errors name the table."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails

from herald_server.catalog.types import (
    FORMATS,
    JSON_TYPES,
    NO_DEFAULT,
    SCOPES,
    CatalogError,
    Format,
    JsonType,
    Param,
    Scope,
    TaskType,
    resolve_relative_date,
    suggest_name,
)


def _keep_whole(value: object, check: ValidatorFunctionWrapHandler) -> object:
    check(value)  # returns whole numbers as floats
    return value


class ParamTable(BaseModel):
    """A table `[task_types.NAME.params.PARAM]`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: JsonType = Field(
        description="A type of JSON Schema, or `any` for every value"
    )
    default: Any = Field(NO_DEFAULT, description="What is sent if none is given")
    required: bool = Field(False, description="It must be given")
    minimum: Annotated[float, WrapValidator(_keep_whole)] | None = Field(
        None, description="The least number"
    )
    format: Format | None = Field(None, description="Of a string: `date`, or others")
    enum: list[Any] | None = Field(None, description="The values that are allowed")
    nullable: bool = Field(False, description="It may be null")
    description: str = Field("", description="What it is, for people and agents")


class TypeTable(BaseModel):
    """A table `[task_types.NAME]`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    celery_name: str = Field(min_length=1, description="The task that it starts")
    description: str = Field("", description="What it does, for people and agents")
    params: dict[str, ParamTable] = Field(
        {}, description="Its keyword arguments, as tables"
    )
    queue: str | None = Field(
        None, description="The queue it is sent to; by default as the app routes it"
    )
    duration: str = Field(
        "unknown", description="How long it takes, shown until five runs were measured"
    )
    scope: Scope = Field("start", description="The scope that a caller needs")
    confirm: bool = Field(False, description="A person must confirm each start")
    tool: bool = Field(False, description="Agents get a tool of their own for it")


TOP_KEYS: Final = {
    "allow": "Globs of Celery names that may be started, besides the task types",
    "queues": "Globs of queues that may be sent to, besides those that are known",
    "[links]": "By label, addresses such as `https://logs.example.org/?query={id}`, "
    "shown with each task",
    "[index]": "By glob of task names, the paths of arguments that are indexed",
}
"""Keys of a herald.toml outside of the tables that have keys of their own."""

OTHER_TABLES: Final = frozenset(
    [
        *("webhooks", "tokens", "queues", "links", "index", "schedules"),
        *("environments", "alerts", "sso"),
    ]
)
"""Tables beside task types, each of which can stand alone in a herald.toml."""

_TABLES: Final = TypeAdapter(dict[str, TypeTable])
_CHOICES: Final = {"type": JSON_TYPES, "format": FORMATS, "scope": SCOPES}
_NOUNS: Final = {
    "string_type": "a string",
    "bool_type": "true or false",
    "float_type": "a number",
    "list_type": "an array",
    "dict_type": "a table",
}


def read_catalog(
    path: Path,
) -> tuple[tuple[TaskType, ...], tuple[str, ...], tuple[str, ...]]:
    """Return all `[task_types.NAME]` tables, and the globs in `allow` and `queues`.

    `allow` are Celery names, `queues` are queues. Raises `CatalogError` with the table.
    """
    table = _parse(path)
    try:
        allow = _parse_globs(table, "allow", "Celery task names, such as ['reports.*']")
        queues = _parse_globs(table, "queues", "queue names, such as ['reports.*']")
        types = _parse_task_types(table.get("task_types", {}))
        if not types and not allow and not OTHER_TABLES & {*table}:
            raise CatalogError("no task types: add a table [task_types.NAME]")
        return types, allow, queues
    except CatalogError as error:
        message = f"{path}: {error}"
        raise CatalogError(message, error.task_type, error.param) from None


def _parse(path: Path) -> Mapping[str, object]:
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


def _parse_globs(table: Mapping[str, object], key: str, what: str) -> tuple[str, ...]:
    listed = table.get(key, [])
    if not isinstance(listed, list):
        raise CatalogError(f"{key} must be an array")
    globs = cast("list[object]", listed)
    if not all(isinstance(one, str) and one for one in globs):
        raise CatalogError(f"{key} must be an array of {what}")
    return tuple(cast("list[str]", globs))


def _parse_task_types(tables: object) -> tuple[TaskType, ...]:
    try:
        read = _TABLES.validate_python(tables)
    except ValidationError as error:
        details = error.errors(include_url=False)
        first = min(details, key=_get_precedence)
        raise _explain(first) from None
    return tuple(_build_task_type(name, table) for name, table in read.items())


def _get_precedence(detail: ErrorDetails) -> tuple[int, bool]:
    # An unknown key is often the misspelt one that is missing.
    return len(detail["loc"]), detail["type"] != "extra_forbidden"


def _explain(detail: ErrorDetails) -> CatalogError:
    path = ["task_types", *map(str, detail["loc"])]
    names = (*path[1:2], *path[3:4])
    if detail["type"] == "model_type":
        return CatalogError(f"[{'.'.join(path)}] must be a table", *names)
    key = path.pop()
    place = f"[{'.'.join(path)}] " if path else ""
    return CatalogError(f"{place}{_explain_key(key, detail, path)}", *names)


def _explain_key(key: str, detail: ErrorDetails, path: list[str]) -> str:
    if detail["type"] == "extra_forbidden":
        known = [*(ParamTable if len(path) > 2 else TypeTable).model_fields]
        return (
            f"has an unknown key {key!r}{suggest_name(key, known)}; "
            f"known are {_join_names(known)}"
        )
    if key in _CHOICES and detail["type"] in ("missing", "literal_error"):
        return f"{key} must be one of {_join_names(_CHOICES[key])}"
    if noun := _NOUNS.get(detail["type"]):
        return f"{key} must be {noun}"
    return f"needs {key}, such as {key} = 'app.tasks.{path[-1]}'"


def _build_task_type(name: str, table: TypeTable) -> TaskType:
    params: dict[str, Param] = {}
    for key, value in table.params.items():
        param = _build_param(key, value)
        if sentence := _find_contradiction(param) or _find_bad_default(param, params):
            place = f"[task_types.{name}.params.{key}]"
            raise CatalogError(f"{place} {sentence}", name, key)
        params[key] = param
    duration = table.duration or "unknown"
    read = TaskType(name, **dict(table))
    return replace(read, params=tuple(params.values()), duration=duration)


def _build_param(name: str, table: ParamTable) -> Param:
    enum = None if table.enum is None else tuple(map(_to_plain, table.enum))
    read = Param(name, **dict(table))
    return replace(read, default=_to_plain(table.default), enum=enum)


def _find_contradiction(param: Param) -> str | None:
    if param.minimum is not None and param.type not in ("integer", "number"):
        return "minimum is for type integer or number"
    if param.format is not None and param.type != "string":
        return "format is for type string"
    if param.required and param.default is not NO_DEFAULT:
        return "is required and has a default: keep one of the two"
    plain = Param(param.name, param.type, format=param.format)
    wrong = next(filter(None, map(plain.find_problem, param.enum or ())), None)
    return wrong and f"enum: {wrong}"


def _find_bad_default(param: Param, earlier: Mapping[str, Param]) -> str | None:
    default = param.default
    if default is NO_DEFAULT:
        return None
    if param.format == "date" and isinstance(default, str):
        dates = {p.name: "2000-01-01" for p in earlier.values() if p.format == "date"}
        default = resolve_relative_date(default, date(2000, 1, 1), dates) or default
    wrong = param.find_problem(default)
    return wrong and f"default: {wrong}"


def _to_plain(value: object) -> object:
    # TOML has dates and times of its own; they travel as text.
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return [_to_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {key: _to_plain(item) for key, item in pairs}
    return value


def _join_names(words: Iterable[str]) -> str:
    return ", ".join(words)
