"""A request of the REST API as a value, and how its parts are written. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from herald_client.models.answers import FilterKeys
from herald_core.model.filters import parse_filter
from herald_core.model.tasks.views import to_dict

T = TypeVar("T")
JsonObject: TypeAlias = dict[str, Any]
_NOTHING: Mapping[str, object] = {}


class Request(msgspec.Struct, Generic[T], frozen=True):
    """A request, and the type `answer` as which its answer is decoded.

    `path` is below the server's base URL, with escaped parts. Values of `query` and
    keys of `body` that are None are left out; without `body` nothing is sent.
    `accepted` are the statuses besides 200, 201 and 202 that carry an answer.
    """

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, object] = _NOTHING
    body: Mapping[str, object] | None = None
    accepted: tuple[int, ...] = ()

    @property
    def target(self) -> str:
        """Path and query, as they are sent."""
        given = {key: one for key, one in self.query.items() if one is not None}
        return self.path + (f"?{urlencode(given, doseq=True)}" if given else "")

    @property
    def content(self) -> bytes | None:
        """The body as it is sent; None for none."""
        return None if self.body is None else msgspec.json.encode(self.body)

    def is_success(self, status: int) -> bool:
        """Return True if an answer with `status` is decoded as `answer`."""
        return status in (200, 201, 202, *self.accepted)


def make_path(*parts: str) -> str:
    """Return the path of a resource; each part is escaped, slashes too."""
    return "/".join(["api", "v1", *(quote(part, safe="") for part in parts)])


def make_get(
    *parts: str,
    answer: type[T],
    query: Mapping[str, object] = _NOTHING,
    accepted: tuple[int, ...] = (),
) -> Request[T]:
    """Return the request that reads a resource."""
    return Request("GET", make_path(*parts), answer, query, accepted=accepted)


def make_post(
    *parts: str,
    answer: type[T],
    body: Mapping[str, object] = _NOTHING,
    accepted: tuple[int, ...] = (),
) -> Request[T]:
    """Return the request that sends `body` to a resource."""
    given = {key: one for key, one in body.items() if one is not None}
    return Request("POST", make_path(*parts), answer, body=given, accepted=accepted)


def make_delete(*parts: str, answer: type[T]) -> Request[T]:
    """Return the request that deletes a resource."""
    return Request("DELETE", make_path(*parts), answer)


def make_filter(given: FilterKeys) -> dict[str, Any]:
    """Return a filter as the API takes it. Raises `InvalidInput`."""
    # Iterables become lists first, because they are read twice.
    listed: dict[str, object] = {
        key: value if value is None or isinstance(value, str) else list(value)  # type: ignore[call-overload]
        for key, value in given.items()
    }
    return to_dict(parse_filter(listed))
