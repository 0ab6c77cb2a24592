"""Every REST route has a function that builds its request, and both clients send it."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import compile_path

from herald_client import Herald, OrderClient, SyncHerald, SyncOrderClient, requests
from herald_client.requests.request import Request
from tests.support.environment import ROOT

ROUTES: dict[str, list[str]] = json.loads(
    (ROOT / "tests" / "golden" / "recorded" / "routes.json").read_text()
)
API = [
    (method, path)
    for path, methods in ROUTES.items()
    for method in methods
    if path.startswith("/api/v1/") and method != "HEAD" and "{rest:path}" not in path
]
GIVEN: dict[str, Any] = {"expect": 1, "expect_depth": 1}
IN_PIECES = {"list_tasks", "export_tasks", "list_workers"}
"""Requests that `tasks`, `export` and `workers` send."""

ENDS = {"close", "aclose"}


def list_builders() -> dict[str, Callable[..., Request[Any]]]:
    """Return all functions that build a request, by module and name."""
    modules: dict[str, dict[str, Any]] = {
        module: vars(getattr(requests, module)) for module in requests.__all__
    }
    return {
        f"{module}.{name}": one
        for module, names in modules.items()
        for name, one in names.items()
        if inspect.isfunction(one) and one.__module__ == f"{requests.__name__}.{module}"
        if not name.startswith("_")
    }


def build(function: Callable[..., Request[Any]], word: str) -> Request[Any]:
    """Build a request, with `word` for each parameter that is needed."""
    needed = [
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    return function(**{name: GIVEN.get(name, word) for name in needed})


def find_routes() -> set[tuple[str, str]]:
    """Return the routes that the built requests reach; the first match counts."""
    built = [
        build(one, word) for one in list_builders().values() for word in ("x", "run")
    ]
    return {
        next(
            (method, path)
            for method, path in sorted(API, key=lambda one: "{" in one[1])
            if method == one.method
            and compile_path(path)[0].fullmatch(f"/{one.path}")
            and _has_as_many_parts(path, one)
        )
        for one in built
    }


def _has_as_many_parts(path: str, request: Request[Any]) -> bool:
    """Return True if no part of a route stands for several: ours hold no slash."""
    return path.count("/") == f"/{request.path}".count("/")


@pytest.mark.parametrize(("method", "path"), API)
def test_a_route_has_a_request(method: str, path: str) -> None:
    """If it fails: add a function to `herald_client.requests`, and to both clients."""
    assert (method, path) in find_routes()


def list_methods(*classes: type) -> dict[str, Any]:
    """Return the public methods of a client and of its orders."""
    return {
        f"{place}.{name}": member
        for place, one in enumerate(classes)
        for base in one.__mro__
        if base.__module__.startswith("herald_client")
        for name, member in vars(base).items()
        if inspect.isroutine(member) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    "classes", [(Herald, OrderClient), (SyncHerald, SyncOrderClient)]
)
def test_a_client_sends_every_request(classes: tuple[type, ...]) -> None:
    sent = {getattr(one, "builder", None) for one in list_methods(*classes).values()}
    missing = {name for name, one in list_builders().items() if one not in sent}
    assert {name.partition(".")[2] for name in missing} == IN_PIECES


def test_both_clients_have_the_same_methods() -> None:
    first = list_methods(Herald, OrderClient)
    second = list_methods(SyncHerald, SyncOrderClient)
    names = {name.partition(".")[2] for name in first.keys() ^ second.keys()}
    assert names == ENDS


def list_shared() -> Iterator[str]:
    """Yield the names of the methods that both clients have."""
    yield from (
        list_methods(Herald, OrderClient).keys()
        & list_methods(SyncHerald, SyncOrderClient).keys()
    )


@pytest.mark.parametrize("name", sorted(list_shared()))
def test_parameters_are_the_same(name: str) -> None:
    first = inspect.signature(list_methods(Herald, OrderClient)[name])
    second = inspect.signature(list_methods(SyncHerald, SyncOrderClient)[name])
    both = [
        [(one.name, one.default, one.kind) for one in signature.parameters.values()]
        for signature in (first, second)
    ]
    # A generator cannot be cut by `asyncio.timeout`.
    extra = [("timeout", None, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    assert both[1] in (both[0], both[0] + (extra if name == "0.follow" else []))
