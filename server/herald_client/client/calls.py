"""Methods of the clients, made from the functions that build their requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from herald_client.requests.request import Request

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


class AsyncSender(Protocol):
    """What sends requests with asyncio."""

    async def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer."""
        ...


class SyncSender(Protocol):
    """What sends requests from threads."""

    def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer."""
        ...


def await_answer(
    build: Callable[P, Request[T]],
) -> Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that sends the request that `build` makes."""

    async def call(self: AsyncSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    return _describe(call, build)


def await_part(
    build: Callable[P, Request[T]], select: Callable[[T], U]
) -> Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, U]]:
    """Return the same, whose result is what `select` takes of the answer."""

    async def call(self: AsyncSender, /, *args: P.args, **kwargs: P.kwargs) -> U:
        return select(await self.send(build(*args, **kwargs)))

    return _describe(call, build)


def get_answer(
    build: Callable[P, Request[T]],
) -> Callable[Concatenate[SyncSender, P], T]:
    """Return the method that sends the request that `build` makes."""

    def call(self: SyncSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    return _describe(call, build)


def get_part(
    build: Callable[P, Request[T]], select: Callable[[T], U]
) -> Callable[Concatenate[SyncSender, P], U]:
    """Return the same, whose result is what `select` takes of the answer."""

    def call(self: SyncSender, /, *args: P.args, **kwargs: P.kwargs) -> U:
        return select(self.send(build(*args, **kwargs)))

    return _describe(call, build)


C = TypeVar("C", bound=Callable[..., Any])
K = TypeVar("K", bound=type)


def _describe(call: C, build: Callable[..., Any]) -> C:
    """Give a method the documentation and the parameters of `build`."""
    made: Any = call
    made.__doc__, made.builder = build.__doc__, build
    found = inspect.signature(build)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    made.__signature__ = found.replace(parameters=[itself, *found.parameters.values()])
    return call


def name_methods(client: K) -> K:
    """Give the methods that were made here the name and module of their class."""
    for name, member in vars(client).items():
        if hasattr(member, "builder"):
            member.__name__, member.__module__ = name, client.__module__
            member.__qualname__ = f"{client.__qualname__}.{name}"
    return client
