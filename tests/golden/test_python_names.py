"""What users import, and the modules that they run: names and signatures."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tests.golden.comparison import compare

NAMES = {
    "herald_core": ("__version__",),
    "herald_worker": ("progress",),
    "herald_client": (
        *("Cancelled", "Change", "ClientError", "ConfirmationNeeded", "CountImage"),
        *("AccessRefused", "Dismissed", "FilterKeys", "Gone", "Herald"),
        *("Put", "RecordExpired", "Reset", "ServerProblem", "Started", "Stats"),
        *("TaskDetail", "TaskNotFinished", "TimedOut", "Unreachable", "Watch"),
    ),
    # `celery -A herald_server.demo.app`
    "herald_server.demo.app": ("app", "make_app"),
}
"""Modules from which users import, and what."""

RUN = (
    *(
        "herald_monitor.__main__",
        "herald_monitor.runtime.healthcheck",
        "herald_server.__main__",
    ),
    "herald_server.demo.run_workload",
)
"""Modules for `python -m`."""


def test_names_that_users_import() -> None:
    told: dict[str, Any] = {}
    for module, names in NAMES.items():
        found = import_module(module)
        for name in names:
            if hasattr(found, name):
                told[f"{module}.{name}"] = _about(getattr(found, name))
    compare("python-names.json", told)


def test_modules_that_users_run() -> None:
    assert [name for name in RUN if find_spec(name) is None] == []


PROTOCOLS = ("__aenter__", "__aiter__", "__await__", "__iter__")
"""What a class may be used in: async with, async for, await, for."""


def _about(one: object) -> Any:
    """Return how something is called, without types: no program depends on them."""
    if not inspect.isclass(one):
        return _signature(one) if inspect.isroutine(one) else "value"
    members = {
        name: member
        for base in one.__mro__
        if base.__module__.startswith("herald")
        for name, member in vars(base).items()
        if not name.startswith("_")
    }
    return {
        "call": _signature(one),
        "caught as": [base.__name__ for base in one.__mro__ if _is_public(base)],
        "fields": sorted(getattr(one, "__annotations__", {})),
        "methods": {
            name: _signature(getattr(one, name))
            for name, member in members.items()
            if inspect.isroutine(member)
        },
        "properties": sorted(n for n, m in members.items() if isinstance(m, property)),
        "used in": [name for name in PROTOCOLS if hasattr(one, name)],
    }


def _is_public(base: type) -> bool:
    if issubclass(base, BaseException) and base.__module__ == "builtins":
        return True
    return any(base.__name__ in names for names in NAMES.values())


def _signature(one: Any) -> str:
    """Return the parameters with their defaults, without types."""
    try:
        found = inspect.signature(one)
    except (TypeError, ValueError):
        return "(...)"
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in found.parameters.values()
    ]
    plain = found.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    waits = "async " if inspect.iscoroutinefunction(one) else ""
    return f"{waits}{plain}"
