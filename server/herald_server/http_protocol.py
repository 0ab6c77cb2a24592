"""Uvicorn's HTTP, with a way to end an answer whose client reads nothing."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from herald_server.line import WIRE


class CuttableHttp(H11Protocol):
    """A connection whose answers can be cut off by the application.

    Ending an answer the usual way waits until all that was sent is taken, for
    ever if need be.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._inner: Any = self.app
        self.app = cast(Any, self._with_cut)

    async def _with_cut(self, scope: dict[str, Any], *ways: Any) -> None:
        extensions = {**scope.get("extensions", {}), WIRE: self}
        await self._inner({**scope, "extensions": extensions}, *ways)

    def cut(self, code: int, reason: str) -> None:
        """End the connection at once."""
        # HTTP has no word for it once an answer has begun.
        self.transport.abort()
