"""Task types, their parameters and their validation."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, cast, get_args

from herald_core.errors import InvalidInput

JsonType = Literal["integer", "number", "string", "boolean", "array", "object", "any"]
Scope = Literal["start", "admin"]
Format = Literal["date", "date-time"]
JSON_TYPES: Final[tuple[str, ...]] = get_args(JsonType)
SCOPES: Final[tuple[str, ...]] = get_args(Scope)
FORMATS: Final[tuple[str, ...]] = get_args(Format)

_ARTICLES: Final = {"integer": "an integer", "array": "an array", "object": "an object"}
_RELATIVE: Final = re.compile(r"(?P<base>[A-Za-z_]\w*)(?:\+(?P<days>\d{1,5}))?")


class CatalogError(InvalidInput):
    """A start request that is invalid; nothing was sent. Names the task type."""

    def __init__(self, message: str, task_type: str = "", param: str = "") -> None:
        super().__init__(message, param)
        self.task_type = task_type


class _NoDefault:
    """Marker of a parameter without a default."""

    def __repr__(self) -> str:
        return "ABSENT"


NO_DEFAULT: Final = _NoDefault()


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a task type, in terms of JSON Schema.

    The default of a date may be relative: `today`, `today+90`, or another parameter as
    in `start_date+90` (days). A default of `None` allows null, and so does `nullable`.
    The type `any` accepts every value.
    """

    name: str
    type: JsonType
    description: str = ""
    default: object = NO_DEFAULT
    required: bool = False
    minimum: float | None = None
    format: str | None = None
    enum: tuple[object, ...] | None = None
    nullable: bool = False

    def find_problem(self, value: object) -> str | None:
        """Return the problem with `value` as a sentence; None if it is valid."""
        if value is None and self.can_be_null:
            return None
        if not _has_type(self.type, value):
            return f"{self.name} must be {_describe_type(self)}"
        if self.minimum is not None and cast("float", value) < self.minimum:
            return f"{self.name} must be at least {self.minimum:g}"
        if self.enum is not None and not _is_among(value, self.enum):
            allowed = ", ".join(str(item) for item in self.enum)
            return f"{self.name} must be one of {allowed}"
        if self.format is not None and not _has_format(self.format, str(value)):
            return f"{self.name} must be {_describe_type(self)}"
        return None

    @property
    def can_be_null(self) -> bool:
        """Whether null is a valid value."""
        return self.nullable or self.default is None or self.type == "any"

    def resolve_default(self, today: date, others: Mapping[str, object]) -> object:
        """Return the default as it is sent; `NO_DEFAULT` if there is none."""
        if self.format != "date" or not isinstance(self.default, str):
            return self.default
        return resolve_relative_date(self.default, today, others) or self.default

    def json_schema(self) -> dict[str, object]:
        """Return the JSON Schema of this parameter."""
        kind: object = [self.type, "null"] if self.can_be_null else self.type
        schema: dict[str, object] = {} if self.type == "any" else {"type": kind}
        if words := self._describe():
            schema["description"] = words
        if self.enum is not None:
            schema["enum"] = [*self.enum, *((None,) if self.can_be_null else ())]
        if self.minimum is not None:
            schema["minimum"] = _to_whole(self.minimum)
        if self.format is not None:
            schema["format"] = self.format
        if self.required and self.type == "string":
            schema["minLength"] = 1
        if self.default is not NO_DEFAULT and not self._is_relative():
            schema["default"] = self.default
        return schema

    def _describe(self) -> str:
        # A relative default is not a value of the schema's type: describe it instead.
        default = f"default: {self.default}" if self._is_relative() else ""
        return "; ".join(part for part in (self.description, default) if part)

    def _is_relative(self) -> bool:
        return (
            self.format == "date"
            and isinstance(self.default, str)
            and not _has_format("date", self.default)
        )


@dataclass(frozen=True, slots=True)
class TaskType:
    """A kind of task that can be started: name, parameters, scope and duration."""

    name: str
    celery_name: str
    description: str = ""
    params: tuple[Param, ...] = ()
    duration: str = "unknown"
    scope: Scope = "start"
    confirm: bool = False
    queue: str | None = None
    title: str = ""
    required_together: tuple[str, ...] = ()
    in_order: tuple[tuple[str, str], ...] = ()
    any_params: bool = False
    """Whether its parameters are unknown, so that all are accepted."""
    tool: bool = False
    """Whether agents get a tool of its own for it."""
    startable: bool = True
    """False for a task that a worker registers and no herald.toml allows."""

    @property
    def label(self) -> str:
        """Name for use in a sentence."""
        return self.title or self.name.replace("_", " ")

    def json_schema(self) -> dict[str, object]:
        """Return one JSON Schema of all parameters."""
        return {
            "type": "object",
            "properties": {param.name: param.json_schema() for param in self.params},
            "required": [param.name for param in self.params if param.required],
            "additionalProperties": self.any_params,
        }

    def check_params(
        self, params: Mapping[str, object], today: date
    ) -> dict[str, object]:
        """Return the keyword arguments to send. Raises `CatalogError`."""
        if self.any_params:
            return dict(params)
        self._refuse_unknown(params)
        self._refuse_missing(params)
        kwargs: dict[str, object] = {}
        for param in self.params:
            value = self._choose_value(param, params, today, kwargs)
            if value is not NO_DEFAULT:
                kwargs[param.name] = value
        self._refuse_wrong_order(kwargs)
        return kwargs

    def remove_nulls(self, params: Mapping[str, object]) -> dict[str, object]:
        """Return `params` without nulls that can only stand for a default."""
        optional = {
            param.name
            for param in self.params
            if not (param.required or param.can_be_null)
        }
        return {
            name: value
            for name, value in params.items()
            if value is not None or name not in optional
        }

    def _refuse_unknown(self, params: Mapping[str, object]) -> None:
        known = [param.name for param in self.params]
        for name in params:
            if name in known:
                continue
            takes = f"it takes: {', '.join(known)}" if known else "it takes none"
            hint = suggest_name(name, known)
            raise CatalogError(
                f"unknown parameter {name!r} for {self.name}{hint}; {takes}",
                self.name,
                name,
            )

    def _refuse_missing(self, params: Mapping[str, object]) -> None:
        for param in self.params:
            if not param.required or not _is_missing(param, params):
                continue
            if param.name in self.required_together:
                names = " and ".join(self.required_together)
                sentence = f"{names} required for {self.label}"
            else:
                sentence = f"{param.name} parameter required for {self.label}"
            raise CatalogError(sentence, self.name, param.name)

    def _choose_value(
        self,
        param: Param,
        params: Mapping[str, object],
        today: date,
        earlier: Mapping[str, object],
    ) -> object:
        if param.name not in params:
            return param.resolve_default(today, earlier)
        value = params[param.name]
        if sentence := param.find_problem(value):
            raise CatalogError(sentence, self.name, param.name)
        return value

    def _refuse_wrong_order(self, kwargs: Mapping[str, object]) -> None:
        for first, second in self.in_order:
            if str(kwargs[first]) > str(kwargs[second]):
                raise CatalogError(
                    f"{first} must not be after {second}: "
                    f"{kwargs[first]} is after {kwargs[second]}",
                    self.name,
                    first,
                )


def suggest_name(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the known word closest to
    `word`; empty if none is."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]}?)" if found else ""


def resolve_relative_date(
    text: str, today: date, others: Mapping[str, object]
) -> str | None:
    """Return the date of `today`, `today+90` or `start_date+90`; None if it is neither.

    A date past the calendar's end becomes its last day.
    """
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    base = today.isoformat() if match["base"] == "today" else others.get(match["base"])
    if not isinstance(base, str):
        return None
    try:
        day = date.fromisoformat(base) + timedelta(days=int(match["days"] or 0))
    except OverflowError:
        day = date.max
    return day.isoformat()


def _describe_type(param: Param) -> str:
    if param.format == "date":
        return "a date, YYYY-MM-DD"
    if param.format == "date-time":
        return "a time with offset, YYYY-MM-DDTHH:MM:SSZ"
    return _ARTICLES.get(param.type, f"a {param.type}")


def _is_missing(param: Param, params: Mapping[str, object]) -> bool:
    if param.can_be_null:
        return param.name not in params
    return params.get(param.name) in (None, "")


def _has_type(kind: JsonType, value: object) -> bool:
    if kind == "any":
        return True
    # bool is an int in Python, but not in JSON.
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        return isinstance(value, int | float) and math.isfinite(value)
    python = {"integer": int, "string": str, "array": list, "object": dict}
    return kind in python and isinstance(value, python[kind])


def _is_among(value: object, allowed: tuple[object, ...]) -> bool:
    return any(
        value == item and isinstance(value, bool) == isinstance(item, bool)
        for item in allowed
    )


def _has_format(form: str, text: str) -> bool:
    try:
        if form == "date":
            # fromisoformat also takes 20260101 and 2026-W01-1.
            return date.fromisoformat(text).isoformat() == text
        return datetime.fromisoformat(text).tzinfo is not None
    except (ValueError, OverflowError):
        return False


def _to_whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number
