"""The frames of a project's own code, by their paths alone.

Own code is what lies neither in the standard library, nor among installed packages,
nor in Celery and what instruments it. A project that is installed itself has no other
frames; there the package of the task's function, the first that is called, is its own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from herald_core.model.failures.tracebacks import Frame, parse_frames

PATH_PARTS = 2
"""Parts of a path that tell a module: its folder and its file. More would name the
place of the installation, which differs between hosts and releases."""

MAX_CACHED_PATHS = 2_048
"""Paths of which is remembered whose they are: the frames of a project repeat."""

MAX_CACHED_STACKS = 512
MAX_CACHED_CHARS = 8_192
"""Stacks whose own frame is remembered, and the characters of the longest of them."""

OUTSIDE = "."
"""The package of code that is not installed; no package has this name."""

FRAMEWORK_PACKAGES = frozenset(
    [
        *("celery", "kombu", "billiard", "vine", "amqp", "herald_worker"),
        *("sentry_sdk", "opentelemetry", "ddtrace", "newrelic", "elasticapm"),
        *("scout_apm", "wrapt", "gevent", "greenlet", "eventlet"),
        *("_pytest", "pluggy"),
    ]
)
"""Installed packages that run a task, instrument it, or test it."""

_PACKAGES = re.compile(
    r".*(?:^|/)(?:(?:site|dist)-packages|__pypackages__/[^/]{1,64}/lib"
    r"|[^/]{1,256}\.egg)/([^/]{1,256})",
    re.IGNORECASE,
)
_STANDARD_LIBRARY = re.compile(
    r"(?:^|/)(?:lib(?:64)?/(?:python|pypy)[\d.]*|python[\d.]*/lib|python\d+\.zip)/",
    re.IGNORECASE,
)
_FRAMEWORK_SOURCE = re.compile(
    r"/celery/(?:app/(?:trace|task|base|autoretry|builtins)|canvas|local|result"
    r"|(?:worker|concurrency|backends|utils)/\w{1,64})\.py$"
    r"|/(?:kombu|billiard|vine|herald_worker)/(?:\w{1,64}/){0,3}\w{1,64}\.py$"
)
"""Celery and its libraries, run from a checkout."""

_RELEASE = re.compile(
    r"v?\d[\d._-]*|[0-9a-f-]*\d[0-9a-f-]*(?<=[0-9a-f-]{7})|.*[-_]v?\d[\d.]*",
    re.IGNORECASE,
)
"""A folder that is named after a version, a time, or a hash."""


def find_own_frame(frame_lines: str) -> Frame | None:
    """Return the innermost frame of the project's own code; None without one.

    `frame_lines` are those of a traceback. Failures of one cause have the same ones.
    """
    if len(frame_lines) > MAX_CACHED_CHARS:
        return _find_own_frame(frame_lines)
    return _find_cached(frame_lines)


def _find_own_frame(frame_lines: str) -> Frame | None:
    frames = parse_frames(frame_lines)
    packages = [_find_package(frame.path) for frame in frames]
    first = OUTSIDE if OUTSIDE in packages else next(filter(None, packages), None)
    if first is None:
        return None
    return frames[len(packages) - 1 - packages[::-1].index(first)]


_find_cached = lru_cache(maxsize=MAX_CACHED_STACKS)(_find_own_frame)


@lru_cache(maxsize=MAX_CACHED_PATHS)
def make_module_path(path: str) -> str:
    """Return the folder and the file of `path`, as `FOLDER/FILE`.

    Folders that are named after a release are left out.
    """
    *folders, file = path[-1024:].replace("\\", "/").split("/")
    kept = [one for one in folders if one and not _RELEASE.fullmatch(one)]
    return "/".join([*kept[1 - PATH_PARTS :], file])


@lru_cache(maxsize=MAX_CACHED_PATHS)
def _find_package(path: str) -> str | None:
    """Return the installed package of `path`; `OUTSIDE` for what is in none.

    None for the standard library, what runs tasks, and code without a file.
    """
    path = path.replace("\\", "/")
    if found := _PACKAGES.match(path):
        name = found[1].removesuffix(".py")
        return None if name in FRAMEWORK_PACKAGES else name
    if path.startswith("<") or _STANDARD_LIBRARY.search(path):
        return None
    return None if _FRAMEWORK_SOURCE.search(path) else OUTSIDE
