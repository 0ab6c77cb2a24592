"""Task ids in paths. Ids may hold slashes, so what follows one must be told apart."""

from __future__ import annotations

from starlette.requests import Request

from herald_server.problems import Problem


def task_id(request: Request) -> str:
    """Return the task's id in the path. Raises `Problem`."""
    found: str = request.path_params["id"]
    if not found:
        raise Problem(404, f"there is nothing at {request.url.path}")
    return found


def literally(request: Request, suffix: str) -> bool:
    """Say whether the path ends with `suffix` as it was sent, before unescaping."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.endswith(suffix.encode())
