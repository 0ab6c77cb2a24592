"""Requests about tokens: mint, list, revoke."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from herald_client.models.tokens import MintedToken, RevokedToken, TokenList
from herald_client.requests.request import Request, make_delete, make_get, make_post


def mint(
    scopes: Iterable[str] = ("read",),
    *,
    only: Mapping[str, object] | None = None,
    hide: Iterable[str] | None = None,
    ttl: float | str | None = None,
    label: str | None = None,
) -> Request[MintedToken]:
    """Return a new token that is limited to `scopes` and the tasks of `only`.

    It has at most the rights of the caller's own token, and ends after `ttl`: seconds,
    or such as `15m` (the default). `hide` are fields that it does not show: `args`,
    `kwargs`, `result`, `exception`, `traceback`. `label` names it in the audit log.
    """
    body = {
        **{"scopes": list(scopes), "only": None if only is None else dict(only)},
        **{"hide": None if hide is None else list(hide), "ttl": ttl, "label": label},
    }
    return make_post("tokens", body=body, answer=MintedToken)


def list_tokens() -> Request[TokenList]:
    """Return the valid minted tokens: all for the scope admin, else the caller's."""
    return make_get("tokens", answer=TokenList)


def revoke(token_id: str) -> Request[RevokedToken]:
    """Revoke a token, and those that were minted from it."""
    return make_delete("tokens", token_id, answer=RevokedToken)
