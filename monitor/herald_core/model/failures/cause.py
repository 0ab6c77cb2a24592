"""The cause of a failure, and its fingerprint.

Two failures have one cause if they are of one exception (its type with the module) that
passed the same innermost frame of the project's own code (function, folder and file of
the module, no line: it survives edits). Where no such frame is known, the message
decides, without the numbers and names in it.

Of chained exceptions the outermost counts, as the event names it: of a retry that is
the exception which made the task retry. If it passed no own code, the frames of its
cause are taken. Texts are redacted before they come here.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import msgspec

from herald_core.model.events.exceptions import is_named
from herald_core.model.failures.frames import find_own_frame, make_module_path
from herald_core.model.failures.messages import normalize_message
from herald_core.model.failures.tracebacks import (
    Frame,
    RaisedException,
    parse_traceback,
)

FINGERPRINT_CHARS = 12
"""Hexadecimal digits of a fingerprint: 48 bits."""

MAX_EXAMPLE_CHARS = 300
"""Characters of the example of a message."""

MAX_CACHED_TEXTS = 256
"""Failures whose fingerprint is remembered: a storm repeats a few tracebacks."""

UNKNOWN_TYPE = "(unknown)"


class FailureCause(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The cause of a failure.

    `exception` is its type with the module, `frame` is `FOLDER/FILE:FUNCTION` of the
    project's own code, absent if none is known. `message` is the exception as the event
    names it, shortened: an example, if many have this cause.
    """

    fingerprint: str
    exception: str
    frame: str | None = None
    message: str | None = None


@lru_cache(maxsize=MAX_CACHED_TEXTS)
def make_fingerprint(exception: str | None, traceback: str | None) -> str:
    """Return the fingerprint of a failure, `FINGERPRINT_CHARS` digits."""
    return describe_cause(exception, traceback).fingerprint


def describe_cause(exception: str | None, traceback: str | None) -> FailureCause:
    """Return the cause of a failure by the texts of its event."""
    named = _parse_type(exception)
    raised = parse_traceback(traceback) if traceback else []
    at = _find_named(raised, named)
    type_name = _select_type(raised[at] if raised else None, named)
    frame = _find_frame(raised, at)
    if frame is not None:
        place = f"{make_module_path(frame.path)}:{frame.function}"
        digest = _compute_digest(type_name, place)
    else:
        place = None
        said = exception or (raised[at].message if raised else "")
        digest = _compute_digest(type_name, "", normalize_message(said))
    return FailureCause(
        fingerprint=digest,
        exception=type_name or UNKNOWN_TYPE,
        frame=place,
        message=exception[:MAX_EXAMPLE_CHARS] if exception else None,
    )


def _parse_type(exception: str | None) -> str:
    """Return the type that `Type(…)` names, without its module; "" for other texts."""
    if exception is None or not is_named(exception):
        return ""
    return exception[: exception.find("(")]


def _find_named(raised: list[RaisedException], named: str) -> int:
    """Return the place of the outermost exception of the type `named`, else the last.

    A retry hides the exception that it is about, a wrapper the one that it wraps.
    """
    for at in range(len(raised) - 1, -1, -1):
        if raised[at].short_name == named:
            return at
    return len(raised) - 1


def _select_type(one: RaisedException | None, named: str) -> str:
    """Return the type with its module, if the traceback tells it."""
    if one is None or (named and one.short_name != named):
        return named
    return one.type_name


def _find_frame(raised: list[RaisedException], at: int) -> Frame | None:
    """Return the innermost own frame of the exception `at`, else of its causes."""
    nearest = [*reversed(raised[: at + 1]), *raised[at + 1 :]]
    found = (find_own_frame(one.frame_lines) for one in nearest)
    return next((frame for frame in found if frame is not None), None)


def _compute_digest(*parts: str) -> str:
    data = "\0".join(parts).encode("utf-8", "replace")
    return blake2b(data, digest_size=FINGERPRINT_CHARS // 2).hexdigest()
