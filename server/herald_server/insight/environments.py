"""The environments that a server serves, and how each of them fares."""

from __future__ import annotations

from typing import Protocol

import msgspec

from herald_server.auth.identity import Identity

PATH_PREFIX = "env"
"""First segment of the paths of an environment: `/env/NAME/…`."""


class EnvironmentView(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An environment as it is shown.

    `path` leads to it from the root of the server. `up`: it can be asked. `problem`
    says why its data may be outdated, empty if it is up to date.
    """

    name: str
    path: str
    up: bool
    problem: str = ""


class Environment(Protocol):
    """An environment of this process."""

    @property
    def context(self) -> object | None:
        """What its interfaces share; None while it is not up."""
        ...

    def make_view(self) -> EnvironmentView:
        """Return its present state, without waiting for its store."""
        ...


class EnvironmentDirectory:
    """All environments of a server process, the default one first."""

    def __init__(self) -> None:
        self._environments: list[Environment] = []

    def add(self, environment: Environment) -> None:
        """Add an environment."""
        self._environments.append(environment)

    def list_for(self, who: Identity) -> list[EnvironmentView]:
        """Return the environments that `who` may use."""
        views = [one.make_view() for one in self._environments]
        return [view for view in views if who.may_use(view.name)]

    def list_others(self, who: Identity) -> dict[str, object | None]:
        """Return the contexts of those besides the default one that `who` may use."""
        named = {one.make_view().name: one.context for one in self._environments[1:]}
        return {name: one for name, one in named.items() if who.may_use(name)}
