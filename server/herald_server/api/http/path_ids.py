"""Task ids in paths. An id may contain slashes, so suffixes need care."""

from __future__ import annotations

from starlette.requests import Request

from herald_server.api.http.problems import Problem


def parse_task_id(request: Request) -> str:
    """Return the task's id in the path. Raises `Problem`."""
    found: str = request.path_params["id"]
    if not found:
        raise Problem(404, f"there is nothing at {request.url.path}")
    return found


def has_literal_suffix(request: Request, suffix: str) -> bool:
    """Return True if the raw path, before unescaping, ends with `suffix`."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.endswith(suffix.encode())
